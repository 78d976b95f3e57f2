-- Assigns a picture to the live GPU queue with the smallest backlog; keeps a live assignment.
-- KEYS after the quarantine: the live GPU queues by the time their lease ends.
-- ARGV[4]: step, ARGV[5]: the one queue it must go to ("" = any), ARGV[6]: grace ms, ARGV[7]: prefix
-- of the bells, ARGV[8]: how long a bell counts as rung, ms.
-- Returns the queue ('' when no GPU worker is live, or when somebody draws the picture now) and
-- whether its bell must be rung.
local GPUS = KEYS[#names + 4]
local step, wanted, grace_ms = ARGV[4], ARGV[5], tonumber(ARGV[6])
local lease = lease_of(step)
if lease and lease.till > now then return {'', 0} end
local live = redis.call('ZRANGEBYSCORE', GPUS, now, '+inf')
local best, backlog
local current = redis.call('HGET', R.queue, step)
for _, queue in ipairs(live) do
  local length = redis.call('ZCARD', gpu_prefix .. queue)
  if wanted == queue or (wanted == '' and (best == nil or length < backlog)) then
    best, backlog = queue, length
  end
  if wanted == '' and queue == current then best = queue break end
end
if best == nil then return {'', 0} end
leave_gpu(step)
redis.call('ZADD', gpu_prefix .. best, now, member(step))
redis.call('HSET', R.queue, step, best)
make_due(step, now + grace_ms)
keep_alive()
local rung = redis.call('SET', ARGV[7] .. best, '1', 'NX', 'PX', ARGV[8])
return {best, rung and 1 or 0}
