-- Makes unsuccessful steps due again: ARGV[4..] are step and the count of steps it still needs.
-- Returns the steps that were reopened.
redis.call('HDEL', R.run, 'cancel', 'finished_ms')
local reopened = {}
for i = 4, #ARGV, 2 do
  local step, needs = ARGV[i], tonumber(ARGV[i + 1])
  local state = redis.call('HGET', R.state, step)
  if state and settled(state) then
    redis.call('HSET', R.state, step, 'waiting')
    redis.call('HDEL', R.errors, step)
    redis.call('HDEL', R.tries, step)
    redis.call('ZREM', QUARANTINED, member(step))
    count_open(step, 1)
    table.insert(reopened, step)
    emit(step, 'waiting', 'retry')
  end
  redis.call('HSET', R.needs, step, needs)
  if state and needs <= 0 then
    redis.call('HDEL', R.sent, step)
    redis.call('ZADD', DUE, now, member(step))
  end
end
if #reopened > 0 then
  redis.call('HSET', R.run, 'state', 'running')
  emit('', 'running', 'retry')
end
keep_alive()
return reopened
