-- Cancels a run: what waits is cancelled now, what runs may still store what it paid for.
-- ARGV[4]: the kind of step to cancel, with what needs it ("" = all): the run then goes on without.
if redis.call('EXISTS', R.run) == 0 then return -1 end
if redis.call('HGET', R.run, 'state') == 'finished' then return 0 end
local only = ARGV[4]
if only == '' then
  redis.call('HSET', R.run, 'cancel', '1')
  emit('', 'cancelled')
end
local function chosen(step)
  if only == '' then return true end
  return cjson.decode(redis.call('HGET', R.rows, step)).kind == only
end
local count = 0
local all = redis.call('HGETALL', R.state)
for i = 1, #all, 2 do
  local lease = lease_of(all[i])
  if not settled(all[i + 1]) and not (lease and lease.till > now) and chosen(all[i]) then
    settle(all[i], 'cancelled', '', 0)
    count = count + 1
  end
end
finish_when_all_settled()
keep_alive()
return count
