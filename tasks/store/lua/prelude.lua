-- Shared by every ledger script: names for the keys, Redis time, and how a step settles.
-- KEYS: the run's keys in the order of tasks/store/keys.py, then the due set, the watermarks and the
-- quarantined steps.
-- ARGV[1]: run id, ARGV[2]: retention in seconds, ARGV[3]: prefix of the GPU queues' step sets.
local names = {'run', 'rows', 'after', 'state', 'needs', 'lease', 'fence', 'tries', 'crashes', 'sent',
  'queue', 'docs', 'errors', 'names', 'events', 'held'}
local R = {}
for i, name in ipairs(names) do R[name] = KEYS[i] end
local DUE, CONSUMED, QUARANTINED = KEYS[#names + 1], KEYS[#names + 2], KEYS[#names + 3]
local run_id, retention_s, gpu_prefix = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Where the document of a step that is due again waits in R.docs.
local function aside(step) return 'aside ' .. step end

local function member(step) return run_id .. ' ' .. step end

local function keep_alive()
  for i = 1, #names do redis.call('EXPIRE', KEYS[i], retention_s) end
end

local function emit(step, state, note)
  redis.call('XADD', R.events, '*', 'step', step, 'state', state, 'at', now, 'note', note or '')
end

local function settled(state)
  return state == 'done' or state == 'failed' or state == 'cancelled' or state == 'quarantined'
end

-- A lease is "fence until holder:claim", with the holder's own number of the claim.
local function lease_of(step)
  local lease = redis.call('HGET', R.lease, step)
  if not lease then return nil end
  local fence, till, owner = string.match(lease, '^(%d+) (%d+) (.*)$')
  return {fence = tonumber(fence), till = tonumber(till), owner = owner}
end

-- Who submits a run that is not accepted yet, and until when they are taken to be alive; nil for
-- every other run.
local function submitter()
  local run = redis.call('HMGET', R.run, 'state', 'submitter')
  if run[1] ~= 'submitting' or not run[2] then return nil end
  local till, owner = string.match(run[2], '^(%d+) (.*)$')
  return owner, tonumber(till)
end

local function submitted_by(owner, lease_ms)
  redis.call('HSET', R.run, 'submitter', string.format('%d %s', now + lease_ms, owner))
end

local function leave_gpu(step)
  local queue = redis.call('HGET', R.queue, step)
  if queue then
    redis.call('ZREM', gpu_prefix .. queue, member(step))
    redis.call('HDEL', R.queue, step)
  end
end

local function make_due(step, at)
  redis.call('HSET', R.sent, step, now)
  redis.call('ZADD', DUE, at, member(step))
end

-- Whether a holder is telling again what it has told: the answer was lost on its way.
local function told_before(step, fence, state)
  return not lease_of(step) and redis.call('HGET', R.state, step) == state
    and tonumber(redis.call('HGET', R.fence, step) or '0') == fence
end

-- Adds model calls, tokens and cost to the run's counters: ARGV from `first`, name and amount in turn.
local function count_usage(first)
  for i = first, #ARGV, 2 do redis.call('HINCRBYFLOAT', R.run, ARGV[i], ARGV[i + 1]) end
end

-- Counts a step, and the model calls that it takes, as open (by = 1) or as settled (by = -1).
local function count_open(step, by)
  redis.call('HINCRBY', R.run, 'open', by)
  local row = redis.call('HGET', R.rows, step)
  local calls = row and cjson.decode(row).calls or 0
  if calls > 0 then redis.call('HINCRBY', R.run, 'calls_left', by * calls) end
end

local function finish_when_all_settled()
  if tonumber(redis.call('HGET', R.run, 'open') or '0') > 0 then return end
  local state = redis.call('HGET', R.run, 'state')
  if state ~= 'running' and state ~= 'waiting' then return end
  redis.call('HSET', R.run, 'state', 'finished', 'finished_ms', now)
  emit('', 'finished')
end

-- The steps that this script released from the held list: their messages are the caller's to send.
local released = {}

-- Whether the end of a step lets the next character, or topic, begin: a character is made when it is
-- assembled, one whose card was given when its tweets have ended.
local function makes_room(step)
  local item, part = string.match(step, '^(.*)%.(.*)$')
  if part == 'collect' then return redis.call('HEXISTS', R.state, item .. '.assemble') == 0 end
  return part == 'assemble' or part == 'analyze'
end

local function release_next(grace_ms)
  local step = redis.call('LPOP', R.held)
  while step and redis.call('HGET', R.state, step) ~= 'waiting' do
    step = redis.call('LPOP', R.held)
  end
  if step then
    make_due(step, now + grace_ms)
    table.insert(released, step)
  end
end

-- Settles a step and, in order, everything that can no longer happen because of it.
local function settle(first, outcome, note, grace_ms)
  local work = {{first, outcome, note}}
  local at = 1
  while work[at] do
    local step, state, why = work[at][1], work[at][2], work[at][3]
    at = at + 1
    local before = redis.call('HGET', R.state, step)
    if before and not (settled(before) and before == state) then
      if not settled(before) then count_open(step, -1) end
      redis.call('HSET', R.state, step, state)
      redis.call('HDEL', R.lease, step)
      redis.call('ZREM', DUE, member(step))
      if state == 'quarantined' then
        redis.call('ZADD', QUARANTINED, now, member(step))
      elseif before == 'quarantined' then
        redis.call('ZREM', QUARANTINED, member(step))
      end
      leave_gpu(step)
      emit(step, state, why)
      if makes_room(step) then release_next(grace_ms) end
      for _, entry in ipairs(cjson.decode(redis.call('HGET', R.after, step) or '[]')) do
        local soft = string.sub(entry, 1, 1) == '?'
        local dependent = soft and string.sub(entry, 2) or entry
        local its = redis.call('HGET', R.state, dependent)
        if state == 'done' or soft then
          local left = redis.call('HINCRBY', R.needs, dependent, -1)
          if left <= 0 and its == 'waiting' then make_due(dependent, now + grace_ms) end
        elseif its and not settled(its) then
          table.insert(work, {dependent, state == 'cancelled' and 'cancelled' or 'failed',
            'needs ' .. step})
        end
      end
    end
  end
  finish_when_all_settled()
end

-- Counts that a step's holder died or froze, which is no attempt of the step's own; returns whether
-- it was once too often, and the step is quarantined.
local function crashed(step, most, grace_ms)
  redis.call('HINCRBY', R.tries, step, -1)
  local times = redis.call('HINCRBY', R.crashes, step, 1)
  if times < most then return false end
  local why = 'its worker died or froze ' .. times .. ' times'
  redis.call('HSETNX', R.errors, step, why)
  settle(step, 'quarantined', why, grace_ms)
  keep_alive()
  return true
end
