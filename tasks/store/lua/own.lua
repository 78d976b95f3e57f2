-- Gives a run to an owner, if the owner has room for another open one; forgets a few that expired.
-- KEYS: all runs of the owner, its open runs (both sorted sets, by the time they were asked for).
-- ARGV: prefix of the runs' hashes, run, most open runs (0 = no limit), for how many ms a run counts
-- that is not written, retention in seconds. Returns 1 and how many are open with it; 0 and how many.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local open = 0
local all = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #all, 2 do
  local state = redis.call('HGET', ARGV[1] .. all[i], 'state')
  if state == 'finished' or (not state and now - tonumber(all[i + 1]) > tonumber(ARGV[4])) then
    redis.call('ZREM', KEYS[2], all[i])
  elseif all[i] ~= ARGV[2] then
    open = open + 1
  end
end
for _, oldest in ipairs(redis.call('ZRANGE', KEYS[1], 0, 9)) do
  local since = tonumber(redis.call('ZSCORE', KEYS[1], oldest))
  if now - since > tonumber(ARGV[4]) and redis.call('EXISTS', ARGV[1] .. oldest) == 0 then
    redis.call('ZREM', KEYS[1], oldest)
  end
end
if tonumber(ARGV[3]) > 0 and open >= tonumber(ARGV[3]) then return {0, open} end
redis.call('ZADD', KEYS[1], 'NX', now, ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[2])
for i = 1, 2 do redis.call('EXPIRE', KEYS[i], ARGV[5]) end
return {1, open + 1}
