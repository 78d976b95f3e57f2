-- Adds steps to a run that goes on or has ended: ARGV[4]: grace ms, then id, row and the steps that it
-- waits for (JSON) of each. What is there already stays. Returns the steps that are due at once.
if redis.call('EXISTS', R.run) == 0 then return {} end
local grace_ms, due, added = tonumber(ARGV[4]), {}, 0
for i = 5, #ARGV, 3 do
  local step, row = ARGV[i], ARGV[i + 1]
  if redis.call('HSETNX', R.rows, step, row) == 1 then
    local left = 0
    for _, needed in ipairs(cjson.decode(ARGV[i + 2])) do
      local state = redis.call('HGET', R.state, needed)
      if state and not settled(state) then
        local after = cjson.decode(redis.call('HGET', R.after, needed) or '[]')
        table.insert(after, '?' .. step)
        redis.call('HSET', R.after, needed, cjson.encode(after))
        left = left + 1
      end
    end
    redis.call('HSET', R.state, step, 'waiting')
    redis.call('HSET', R.needs, step, left)
    redis.call('HINCRBY', R.run, 'steps', 1)
    added = added + 1
    count_open(step, 1)
    if left == 0 then
      make_due(step, now + grace_ms)
      table.insert(due, step)
    end
  end
end
if added > 0 and redis.call('HGET', R.run, 'state') == 'finished' then
  redis.call('HSET', R.run, 'state', 'running')
  redis.call('HDEL', R.run, 'finished_ms')
  emit('', 'running', 'more')
end
keep_alive()
return due
