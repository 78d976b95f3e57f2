-- Keeps a leader's place; one that is lost stays lost. ARGV: token, lease ms.
local entry = redis.call('HMGET', KEYS[1], 'kind', 'token')
if entry[1] == 'flight' and entry[2] == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
