-- Stops every grant of a provider for ARGV[2] milliseconds; a longer stop stays.
-- KEYS: rates. ARGV: now in µs (0: the server's clock), ms.
local us = tonumber(ARGV[1])
if us == 0 then
  local time = redis.call('TIME')
  us = time[1] * 1000000 + time[2]
end
local till = math.floor(us / 1000) + tonumber(ARGV[2])
if till > tonumber(redis.call('HGET', KEYS[1], 'blocked_until') or '0') then
  redis.call('HSET', KEYS[1], 'blocked_until', string.format('%.0f', till))
  redis.call('PEXPIRE', KEYS[1], 600000 + tonumber(ARGV[2]))
end
return till
