-- Writes what a run can be planned from, before any row of it; or takes over a submission that nobody
-- goes on with. KEYS after the quarantine: the list of runs. ARGV[4..]: submitter, lease ms, a
-- submitter that is known to be gone ("" = none), then three lists, each with its length in front:
-- the run's fields and values, held steps, steps and their given documents.
-- Returns 'yours', 'accepted' for a run that is under way, or 'busy' and who is submitting it.
local RUNS = KEYS[#names + 4]
local state = redis.call('HGET', R.run, 'state')
if state and state ~= 'submitting' then return {'accepted', ''} end
local holder, till = submitter()
if holder and holder ~= ARGV[4] and holder ~= ARGV[6] and till > now then return {'busy', holder} end
for _, key in ipairs({R.rows, R.after, R.state, R.needs, R.held}) do redis.call('DEL', key) end
local at = 7
local function list()
  local from, till_here = at + 1, at + tonumber(ARGV[at])
  at = till_here + 1
  return from, till_here
end
local from, last = list()
for i = from, last, 2 do redis.call('HSET', R.run, ARGV[i], ARGV[i + 1]) end
redis.call('HSETNX', R.run, 'created_ms', now)
redis.call('HSET', R.run, 'state', 'submitting')
submitted_by(ARGV[4], tonumber(ARGV[5]))
from, last = list()
for i = from, last do redis.call('RPUSH', R.held, ARGV[i]) end
from, last = list()
for i = from, last, 2 do redis.call('HSET', R.docs, ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', RUNS, 'NX', now, run_id)
keep_alive()
return {'yours', ''}
