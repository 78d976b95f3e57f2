-- Decides for one step of the due set whether its message must be sent again.
-- ARGV[4..]: step, most crashes, grace ms, margin ms, then queue and its length in turn.
-- Returns 'send', 'wait' or 'gone'. A message is lost when the step's lease ran out, when every
-- queue is empty past the grace, or when later messages of its queue were already consumed.
local step, most, grace_ms, margin_ms = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local state = redis.call('HGET', R.state, step)
if not state or settled(state) then
  redis.call('ZREM', DUE, member(step))
  return 'gone'
end
if redis.call('HGET', R.run, 'cancel') == '1' and state == 'waiting' then
  settle(step, 'cancelled', '', grace_ms)
  return 'gone'
end
local lease = lease_of(step)
if lease and lease.till > now then
  redis.call('ZADD', DUE, lease.till, member(step))
  return 'wait'
end
local sent = tonumber(redis.call('HGET', R.sent, step) or '0')
local lost = lease ~= false and lease ~= nil or sent == 0
if not lost then
  lost = true
  for i = 8, #ARGV, 2 do
    local length = tonumber(ARGV[i + 1])
    local consumed = tonumber(redis.call('HGET', CONSUMED, ARGV[i]) or '0')
    if length > 0 and consumed < sent + margin_ms then lost = false end
  end
end
if not lost then
  redis.call('ZADD', DUE, now + grace_ms, member(step))
  return 'wait'
end
if lease and crashed(step, most, grace_ms) then return 'gone' end
redis.call('HDEL', R.lease, step)
redis.call('HSET', R.state, step, 'waiting')
make_due(step, now + grace_ms)
return 'send'
