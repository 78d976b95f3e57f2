-- Puts a leader's outcome on the shelf. ARGV: token, kind (`kept`, `handed`, or `` to step down),
-- text, ttl ms. A leader whose lease ran out may still give a reply, nothing else.
local entry = redis.call('HMGET', KEYS[1], 'kind', 'token')
local mine = entry[1] == 'flight' and entry[2] == ARGV[1]
if not mine and (ARGV[2] ~= 'kept' or entry[1] == 'kept') then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], 'kind', ARGV[2], 'token', ARGV[1], 'text', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
