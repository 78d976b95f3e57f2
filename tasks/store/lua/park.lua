-- Parks a claimed step until calls of it are answered, and writes down those that are new.
-- KEYS after the quarantine: the run's batch keys, the runs that have calls outstanding.
-- ARGV[4..]: step, fence, bytes of replies that the step knew, when to look again in any case (ms),
-- then key, attempt, model, size and request of each call in turn.
-- Returns 1 when parked, 2 when replies came meanwhile and the step is due at once, 0 without lease.
local calls, asked, waits, chunks, replies = unpack(KEYS, #names + 4, #names + 8)
local batching = KEYS[#names + 9]
local step, fence, known, again_ms = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local lease = lease_of(step)
if not lease or lease.fence ~= fence then return 0 end
redis.call('HDEL', R.lease, step)
redis.call('HDEL', R.sent, step)
redis.call('HSET', R.state, step, 'waiting')
redis.call('HINCRBY', R.tries, step, -1)
keep_alive()
if redis.call('HGET', R.run, 'cancel') == '1' then
  settle(step, 'cancelled', '', again_ms)
  return 1
end
if redis.call('HSTRLEN', replies, step) ~= known then
  make_due(step, now)
  emit(step, 'waiting')
  return 2
end
for i = 8, #ARGV, 5 do
  local key, attempt = ARGV[i], ARGV[i + 1]
  local row = table.concat({attempt, '-', step, ARGV[i + 3], ARGV[i + 2]}, ' ')
  if redis.call('HSETNX', calls, key, row) == 1 then
    redis.call('HSET', asked, key, ARGV[i + 4])
    redis.call('HINCRBY', waits, step, 1)
    if attempt == '1' then redis.call('HINCRBY', R.run, 'batch_asked', 1) end
    redis.call('HSET', R.run, 'batch_asked_ms', now)
  end
end
redis.call('ZADD', DUE, now + again_ms, member(step))
redis.call('SADD', batching, run_id)
for i = #names + 4, #names + 8 do redis.call('EXPIRE', KEYS[i], retention_s) end
emit(step, 'waiting')
return 1
