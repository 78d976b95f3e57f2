-- Ends the leases of a holder that is gone, so that a sweep takes their steps up at once.
-- ARGV[4..]: holder, then steps. Returns how many of them it held.
local holder, ended = ARGV[4] .. ':', 0
for i = 5, #ARGV do
  local lease = lease_of(ARGV[i])
  if lease and string.sub(lease.owner, 1, #holder) == holder and lease.till > now then
    redis.call('HSET', R.lease, ARGV[i], string.format('%d %d %s', lease.fence, now, lease.owner))
    redis.call('ZADD', DUE, now, member(ARGV[i]))
    ended = ended + 1
  end
end
return ended
