-- Returns a slot and corrects the token reservation by what was really used.
-- KEYS as in acquire. ARGV: lease, tpm, burst seconds, tokens reserved, tokens used.
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local held = redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
local tpm, burst_s = tonumber(ARGV[2]), tonumber(ARGV[3])
local change = tonumber(ARGV[5]) - tonumber(ARGV[4])
if held == 1 and tpm > 0 and change ~= 0 then
  local burst = math.min(tpm * burst_s / 60, tpm / 2)
  local tat = tonumber(redis.call('HGET', KEYS[3], 'tokens') or '0')
  tat = math.max(tat, us) + change * 60000000 / (tpm - burst)
  redis.call('HSET', KEYS[3], 'tokens', string.format('%.0f', tat))
end
return held
