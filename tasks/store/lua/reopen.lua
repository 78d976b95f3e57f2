-- Makes settled steps due again, in a run that nobody has retried since it was looked at.
-- ARGV[4..]: when the run had finished ("" = it had not), grace ms, then step and the state that it
-- was in, in turn; of those that still wait only the needs are counted anew. Returns 1 (0: the run
-- has changed since), how many steps were reopened, and those of them that need nothing more: their
-- messages are the caller's to send. Documents are put aside: one that turns out to be made from the
-- same again counts again (claim.lua).
if (redis.call('HGET', R.run, 'finished_ms') or '') ~= ARGV[4] then return {0, 0, {}} end
local grace_ms = tonumber(ARGV[5])
local reopened, waiting = {}, {}
for i = 6, #ARGV, 2 do
  local step, state = ARGV[i], ARGV[i + 1]
  if settled(state) and redis.call('HGET', R.state, step) == state then
    redis.call('HSET', R.state, step, 'waiting')
    redis.call('HDEL', R.errors, step)
    redis.call('HDEL', R.tries, step)
    redis.call('HDEL', R.crashes, step)
    redis.call('ZREM', QUARANTINED, member(step))
    local doc = redis.call('HGET', R.docs, step)
    if doc then
      redis.call('HSET', R.docs, aside(step), doc)
      redis.call('HDEL', R.docs, step)
    end
    count_open(step, 1)
    table.insert(reopened, step)
    emit(step, 'waiting', 'retry')
  elseif state == 'waiting' and redis.call('HGET', R.state, step) == state then
    table.insert(waiting, step)
  end
end
if #reopened == 0 then return {1, 0, {}} end
redis.call('HDEL', R.run, 'cancel', 'finished_ms')
redis.call('HSET', R.run, 'state', 'running')
emit('', 'running', 'retry')
local gathers = {collect = true, turn = true, summary = true}  -- tasks/schemas/plan.py GATHERS
-- Counts what a step still needs, and finds one of those that ended without success.
local function open_needs(step)
  local row = cjson.decode(redis.call('HGET', R.rows, step))
  local open, lacking = 0, nil
  for _, needed in ipairs(row.needs) do
    local state = redis.call('HGET', R.state, needed)
    local gathered = gathers[row.kind] and state and settled(state)
    if state and state ~= 'done' and not gathered then
      open = open + 1
      if settled(state) then lacking = needed end
    end
  end
  redis.call('HSET', R.needs, step, open)
  return open, lacking
end

local due = {}
for _, step in ipairs(reopened) do
  local open, lacking = open_needs(step)
  if lacking then
    settle(step, 'failed', 'needs ' .. lacking, grace_ms)
  elseif open == 0 then
    make_due(step, now + grace_ms)
    table.insert(due, step)
  end
end
for _, step in ipairs(waiting) do
  if open_needs(step) > 0 then redis.call('ZREM', DUE, member(step)) end
end
keep_alive()
return {1, #reopened, due}
