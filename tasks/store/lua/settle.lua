-- Stores the outcome of a claimed step; only the current fence may. Returns 1 and what it released.
-- ARGV[4..]: step, fence, state, document or error text, note for the event, grace ms, then
-- counter names and their increments in turn (model calls, tokens, cost).
local step, fence, state, payload = ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7]
local note, grace_ms = ARGV[8], tonumber(ARGV[9])
for i = 10, #ARGV, 2 do
  redis.call('HINCRBYFLOAT', R.run, ARGV[i], ARGV[i + 1])
end
local lease = lease_of(step)
if not lease or lease.fence ~= fence then return {0} end
if state == 'done' then
  redis.call('HSET', R.docs, step, payload)
  redis.call('HDEL', R.docs, aside(step))
  redis.call('HDEL', R.errors, step)
else
  redis.call('HSET', R.errors, step, payload)
end
settle(step, state, note, grace_ms)
keep_alive()
return {1, unpack(released)}
