-- Opens a wholly written run for work. KEYS after the quarantine: the open runs of the backlog.
-- ARGV[4..]: submitter ("" for a run that waits), grace ms, what the backlog says of the run.
-- Returns 1 and the steps that are due at once; 0 when the submission is somebody else's, or gone.
local LOAD = KEYS[#names + 4]
local waits = ARGV[4] == '' and redis.call('HGET', R.run, 'state') == 'waiting'
if not waits and (ARGV[4] == '' or submitter() ~= ARGV[4]) then return {0, {}} end
local held = {}
for _, step in ipairs(redis.call('LRANGE', R.held, 0, -1)) do held[step] = true end
local needs = {}
local all = redis.call('HGETALL', R.needs)
for i = 1, #all, 2 do needs[all[i]] = tonumber(all[i + 1]) end
redis.call('HSET', R.run, 'state', 'running', 'opened_ms', now)
redis.call('HDEL', R.run, 'submitter')
redis.call('HSET', LOAD, run_id, ARGV[6])
local ready = {}
all = redis.call('HGETALL', R.state)
for i = 1, #all, 2 do
  if all[i + 1] == 'waiting' and needs[all[i]] <= 0 and not held[all[i]] then
    make_due(all[i], now + tonumber(ARGV[5]))
    table.insert(ready, all[i])
  end
end
emit('', 'running')
keep_alive()
return {1, ready}
