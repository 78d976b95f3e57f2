-- Decides for one step of the due set whether its message must be sent again.
-- KEYS after the quarantine: what upkeep left in the message's queue.
-- ARGV[4..]: step, most crashes, grace ms, margin ms, when to look again at a message that waits (ms),
-- the queue that its message can wait in ("" = none of the watermarks'), its length.
-- Returns 'send', 'wait' or 'gone'. A message is lost when the step's lease ran out, when its queue is
-- empty, or when messages of its queue that were sent `margin` later are consumed already.
local step, most, grace_ms, margin_ms = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local again_ms, queue, length = tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])
if queue ~= '' then redis.call('ZREM', KEYS[#names + 4], member(step)) end
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
if not lease and sent > 0 and length > 0 then
  local consumed = queue ~= '' and tonumber(redis.call('HGET', CONSUMED, queue) or '0') or 0
  if consumed < sent + margin_ms then
    redis.call('ZADD', DUE, now + again_ms, member(step))
    if queue ~= '' then redis.call('ZADD', KEYS[#names + 4], sent, member(step)) end
    return 'wait'
  end
end
if lease and crashed(step, most, grace_ms) then return 'gone' end
redis.call('HDEL', R.lease, step)
redis.call('HSET', R.state, step, 'waiting')
make_due(step, now + grace_ms)
keep_alive()
return 'send'
