-- Stops every grant of a provider for ARGV[1] milliseconds; a longer stop stays.
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local till = ms + tonumber(ARGV[1])
if till > tonumber(redis.call('HGET', KEYS[3], 'blocked_until') or '0') then
  redis.call('HSET', KEYS[3], 'blocked_until', till)
  redis.call('PEXPIRE', KEYS[3], 600000 + tonumber(ARGV[1]))
end
return till
