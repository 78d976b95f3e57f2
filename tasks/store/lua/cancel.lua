-- Cancels a run: what waits is cancelled now, what runs may still store what it paid for.
if redis.call('EXISTS', R.run) == 0 then return -1 end
if redis.call('HGET', R.run, 'state') == 'finished' then return 0 end
redis.call('HSET', R.run, 'cancel', '1')
emit('', 'cancelled')
local count = 0
local all = redis.call('HGETALL', R.state)
for i = 1, #all, 2 do
  local lease = lease_of(all[i])
  if not settled(all[i + 1]) and not (lease and lease.till > now) then
    settle(all[i], 'cancelled', '', 0)
    count = count + 1
  end
end
finish_when_all_settled()
return count
