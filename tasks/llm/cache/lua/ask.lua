-- Looks for a reply; whoever finds neither a reply nor somebody who is getting one leads.
-- KEYS[1]: the entry, a hash: `kind` is `flight` (its leader is calling), `kept` (a reply for
-- everybody) or `handed` (an outcome for those only who waited for this leader); `token` names the
-- leader, `text` is the outcome. ARGV: our token, the leader that we have waited for, lease ms.
local entry = redis.call('HMGET', KEYS[1], 'kind', 'token', 'text')
local kind, leader = entry[1], entry[2]
if kind == 'kept' or (kind == 'handed' and leader == ARGV[2]) then return {'found', entry[3]} end
if kind == 'flight' and leader ~= ARGV[1] then return {'wait', leader} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'kind', 'flight', 'token', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'lead', ''}
