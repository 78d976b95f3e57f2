-- Stores the outcome of a claimed step; only the current fence may. Returns 1 and what it released;
-- told again, it changes and counts nothing, and what it released is left to upkeep.
-- ARGV[4..]: step, fence, state, document or error text, note for the event, grace ms, then
-- counter names and their increments in turn (model calls, tokens, cost).
local step, fence, state, payload = ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7]
local note, grace_ms = ARGV[8], tonumber(ARGV[9])
if told_before(step, fence, state) then return {1} end
count_usage(10)
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
