-- Slots of discussion sessions and the waiting room before them.
-- KEYS: active (sorted set: session -> end of its lease), waiting (sorted set: session -> arrival),
-- users (hash: session -> user), seen (sorted set: session -> last activity), counts (hash).
-- ARGV: what (enter, again, promote, leave, hold, touch), session, user, slots, most of one user, lease ms.
local active, waiting, users, seen, counts = unpack(KEYS)
local what, session, user = ARGV[1], ARGV[2], ARGV[3]
local slots, each, lease_ms = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', active, '-inf', now)

local function held_by(name)
  local count = 0
  for _, set in ipairs({active, waiting}) do
    for _, other in ipairs(redis.call('ZRANGE', set, 0, -1)) do
      if redis.call('HGET', users, other) == name then count = count + 1 end
    end
  end
  return count
end

if what == 'enter' then
  local held = held_by(user)
  if held >= each then return {-1, held} end
  redis.call('HSET', users, session, user)
  redis.call('ZADD', seen, now, session)
  redis.call('HINCRBY', counts, 'begun', 1)
  if redis.call('ZCARD', waiting) == 0 and redis.call('ZCARD', active) < slots then
    redis.call('ZADD', active, now + lease_ms, session)
    return {0, held + 1}
  end
  redis.call('ZADD', waiting, redis.call('HINCRBY', counts, 'arrivals', 1), session)
  return {redis.call('ZCARD', waiting), held + 1}
elseif what == 'again' then
  if redis.call('ZSCORE', active, session) then return {0, 1} end
  local held = held_by(user)
  if held >= each then return {-1, held} end
  local busy = redis.call('ZCARD', waiting) + redis.call('ZCARD', active)
  if busy >= slots then return {busy - slots + 1, held} end
  redis.call('ZADD', active, now + lease_ms, session)
  return {0, held + 1}
elseif what == 'promote' then
  local promoted = {}
  while redis.call('ZCARD', active) < slots do
    local first = redis.call('ZPOPMIN', waiting)
    if not first[1] then break end
    redis.call('ZADD', active, now + lease_ms, first[1])
    table.insert(promoted, first[1])
  end
  return promoted
elseif what == 'leave' then
  return redis.call('ZREM', active, session) + redis.call('ZREM', waiting, session)
else
  redis.call('ZADD', active, 'XX', now + lease_ms, session)
  if what == 'hold' then return 1 end
  redis.call('ZADD', seen, 'XX', now, session)
  return 1
end
