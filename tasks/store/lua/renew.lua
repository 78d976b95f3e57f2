-- Renews leases of one run: ARGV[4] lease ms, then step and fence in turn.
-- Returns the steps whose lease is lost: another fence holds them, they settled, or the run is gone.
local lease_ms = tonumber(ARGV[4])
local lost = {}
for i = 5, #ARGV, 2 do
  local step, fence = ARGV[i], tonumber(ARGV[i + 1])
  local lease = lease_of(step)
  if lease and lease.fence == fence then
    redis.call('HSET', R.lease, step, string.format('%d %d %s', fence, now + lease_ms, lease.owner))
    redis.call('ZADD', DUE, 'XX', now + lease_ms, member(step))
  else
    table.insert(lost, step)
  end
end
return lost
