-- Gives a quarantined step up for good: ARGV[4]. What needs it has failed with it already; its last
-- error stays. Returns 1, or 0 when it is not in quarantine.
local step = ARGV[4]
if redis.call('ZREM', QUARANTINED, member(step)) == 0 then return 0 end
if redis.call('HGET', R.state, step) == 'quarantined' then
  redis.call('HSET', R.state, step, 'failed')
  emit(step, 'failed', 'dropped from quarantine')
end
return 1
