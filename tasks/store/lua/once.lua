-- Lets one of many equal requests do the work. KEYS: the record of one Idempotency-Key.
-- ARGV: what (take, done, drop), what is asked for (a hash), run, lease ms, seconds to remember.
-- A record is {asked, run, till}: till is when its holder is taken to be dead, or 'done'.
-- take returns 'go' (do it under this run id), 'done', 'busy' or 'other' (something else was asked
-- for), the run id, and for how many ms it is busy.
local asked, run, till = unpack(redis.call('HMGET', KEYS[1], 'asked', 'run', 'till'))
if ARGV[1] == 'drop' then return redis.call('DEL', KEYS[1]) end
if ARGV[1] == 'done' then
  if asked then redis.call('HSET', KEYS[1], 'till', 'done') end
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not asked then
  redis.call('HSET', KEYS[1], 'asked', ARGV[2], 'run', ARGV[3], 'till', now + tonumber(ARGV[4]))
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  return {'go', ARGV[3], 0}
end
if asked ~= ARGV[2] then return {'other', '', 0} end
if till == 'done' then return {'done', run, 0} end
if tonumber(till) > now then return {'busy', run, tonumber(till) - now} end
redis.call('HSET', KEYS[1], 'till', now + tonumber(ARGV[4]))
return {'go', run, 0}
