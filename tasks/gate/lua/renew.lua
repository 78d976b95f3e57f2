-- Renews slots that are still held; one that expired and was cleared away stays lost.
-- KEYS: slots of the provider, slots of the run. ARGV: now in µs (0: the server's clock), lease ms,
-- then leases.
local us = tonumber(ARGV[1])
if us == 0 then
  local time = redis.call('TIME')
  us = time[1] * 1000000 + time[2]
end
local till = math.floor(us / 1000) + tonumber(ARGV[2])
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[1], 'XX', till, ARGV[i])
  redis.call('ZADD', KEYS[2], 'XX', till, ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[2]) * 2)
redis.call('PEXPIRE', KEYS[2], tonumber(ARGV[2]) * 2)
return 1
