-- Judges one request of an API key: is the secret right, and is there room in its rate (GCRA: the
-- moment up to which its requests are used up moves on by one interval with each).
-- KEYS: the keys, the moment of this key. ARGV: key id, digest of the secret, seconds' worth of
-- requests that may come at once. Returns the key as JSON ('' when it is wrong or revoked) and how
-- many ms too early the request is.
local text = redis.call('HGET', KEYS[1], ARGV[1])
if not text then return {'', 0} end
local key = cjson.decode(text)
if key.digest ~= ARGV[2] or key.revoked_ms ~= cjson.null then return {'', 0} end
if key.rpm == 0 then return {text, 0} end
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local interval = 60000 / key.rpm
local ahead = math.max(interval, tonumber(ARGV[3]) * 1000)
local till = math.max(now, tonumber(redis.call('GET', KEYS[2]) or '0')) + interval
if till - now > ahead then return {text, math.ceil(till - now - ahead)} end
redis.call('SET', KEYS[2], string.format('%.3f', till), 'PX', math.ceil(till - now) + 1)
return {text, 0}
