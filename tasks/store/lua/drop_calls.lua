-- Forgets calls that are in no chunk: their run was cancelled before they were sent.
-- KEYS after the quarantine: the run's batch keys. ARGV[4..]: the calls' keys.
local calls, asked, waits = unpack(KEYS, #names + 4, #names + 6)
for i = 4, #ARGV do
  local row = redis.call('HGET', calls, ARGV[i])
  local attempt, step = string.match(row or '', '^(%d+) %- (%S+) ')
  if step then
    redis.call('HDEL', calls, ARGV[i])
    redis.call('HDEL', asked, ARGV[i])
    if attempt == '1' then redis.call('HINCRBY', R.run, 'batch_asked', -1) end
    if redis.call('HINCRBY', waits, step, -1) <= 0 then
      redis.call('HDEL', waits, step)
      if redis.call('HGET', R.state, step) == 'waiting' then make_due(step, now) end
    end
  end
end
