-- Takes in answers of a chunk's calls; steps that wait for no other call are due. Twice is harmless.
-- KEYS after the quarantine: the run's batch keys. ARGV[4..]: chunk, grace ms, then key, reply and
-- 1 when the call is over (0: it will be asked again) in turn. Returns the steps that are due.
local calls, asked, waits, chunks, replies = unpack(KEYS, #names + 4, #names + 8)
local chunk, grace_ms = ARGV[4], tonumber(ARGV[5])
local due = {}
for i = 6, #ARGV, 3 do
  local key, reply, over = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local row = redis.call('HGET', calls, key)
  local its, step = string.match(row or '', '^%d+ (%S+) (%S+) ')
  if its == chunk then
    redis.call('HDEL', calls, key)
    redis.call('HDEL', asked, key)
    local before = redis.call('HGET', replies, step)
    redis.call('HSET', replies, step, before and (before .. '\n' .. reply) or reply)
    if over == '1' then redis.call('HINCRBY', R.run, 'batch_back', 1) end
    if redis.call('HINCRBY', waits, step, -1) <= 0 then
      redis.call('HDEL', waits, step)
      if redis.call('HGET', R.state, step) == 'waiting' then
        make_due(step, now + grace_ms)
        table.insert(due, step)
      end
    end
  end
end
redis.call('EXPIRE', replies, retention_s)
keep_alive()
return due
