-- One decision for one call, all or nothing, on Redis time.
-- KEYS: slots of the provider (sorted set: lease -> end), slots of the run (the same),
-- rates (hash: next request and token times, blocked_until).
-- ARGV: lease, lease ms, slots, run slots (0 = no cap), rpm, tpm, burst seconds, tokens.
-- Returns {1} when granted, {0, wait ms, reason} when not. Rates are GCRA: `tat` is the theoretical
-- arrival time in microseconds; the sustained rate is the limit less the burst.
local slots_key, run_key, rates_key = KEYS[1], KEYS[2], KEYS[3]
local lease, lease_ms = ARGV[1], tonumber(ARGV[2])
local slots, run_slots = tonumber(ARGV[3]), tonumber(ARGV[4])
local rpm, tpm, burst_s, tokens = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]),
  tonumber(ARGV[8])
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local ms = math.floor(us / 1000)

if redis.call('ZSCORE', slots_key, lease) then return {1} end

local blocked = tonumber(redis.call('HGET', rates_key, 'blocked_until') or '0')
if blocked > ms then return {0, blocked - ms, 'blocked'} end

redis.call('ZREMRANGEBYSCORE', slots_key, '-inf', ms)
if redis.call('ZCARD', slots_key) >= slots then return {0, 50, 'slots'} end
if run_slots > 0 then
  redis.call('ZREMRANGEBYSCORE', run_key, '-inf', ms)
  if redis.call('ZCARD', run_key) >= run_slots then return {0, 50, 'run slots'} end
end

-- Theoretical arrival time after taking `amount`, and how long until that may be taken.
local function gcra(field, per_minute, amount)
  local burst = math.min(per_minute * burst_s / 60, per_minute / 2)
  local per_unit = 60000000 / (per_minute - burst)
  local tat = math.max(tonumber(redis.call('HGET', rates_key, field) or '0'), us)
  local tolerance = burst * per_unit
  -- One call larger than the burst goes alone, from an empty bucket, and pays afterwards.
  local room = math.max(0, tolerance - amount * per_unit)
  if amount * per_unit >= tolerance then room = 0 end
  return tat + amount * per_unit, math.max(0, tat - us - room)
end

local request_tat, token_tat, wait_us, reason = nil, nil, 0, ''
if rpm > 0 then
  local wait
  request_tat, wait = gcra('requests', rpm, 1)
  if wait > wait_us then wait_us, reason = wait, 'requests' end
end
if tpm > 0 and tokens > 0 then
  local wait
  token_tat, wait = gcra('tokens', tpm, tokens)
  if wait > wait_us then wait_us, reason = wait, 'tokens' end
end
if wait_us > 0 then return {0, math.ceil(wait_us / 1000), reason} end

if request_tat then redis.call('HSET', rates_key, 'requests', string.format('%.0f', request_tat)) end
if token_tat then redis.call('HSET', rates_key, 'tokens', string.format('%.0f', token_tat)) end
redis.call('PEXPIRE', rates_key, 600000)
redis.call('ZADD', slots_key, ms + lease_ms, lease)
redis.call('PEXPIRE', slots_key, lease_ms * 2)
if run_slots > 0 then
  redis.call('ZADD', run_key, ms + lease_ms, lease)
  redis.call('PEXPIRE', run_key, lease_ms * 2)
end
return {1}
