-- Gives a claimed step back, due again later; only the current fence may. Told again, it counts nothing.
-- ARGV[4..]: step, fence, delay ms, error text ("" = none), 1 when the attempt does not count, then
-- counter names and their increments in turn (model calls, tokens, cost).
local step, fence, delay_ms, note = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local sent = redis.call('HEXISTS', R.sent, step) == 1
if not sent and told_before(step, fence, 'waiting') then return 1 end
count_usage(9)
local lease = lease_of(step)
if not lease or lease.fence ~= fence then return 0 end
redis.call('HDEL', R.lease, step)
redis.call('HSET', R.state, step, 'waiting')
if ARGV[8] == '1' then redis.call('HINCRBY', R.tries, step, -1) end
if note ~= '' then redis.call('HSET', R.errors, step, note) end
redis.call('HDEL', R.sent, step)
redis.call('ZADD', DUE, now + delay_ms, member(step))
emit(step, 'waiting', note)
keep_alive()
return 1
