-- Removes a run that was never wholly submitted: nothing of it was due yet.
-- KEYS after the quarantine: the list of runs, the open runs of the backlog. Returns how many rows it had,
-- -1 when it is none of those.
if redis.call('HGET', R.run, 'state') ~= 'submitting' then return -1 end
local rows = redis.call('HLEN', R.rows)
for i = 1, #names do redis.call('DEL', KEYS[i]) end
redis.call('ZREM', KEYS[#names + 4], run_id)
redis.call('HDEL', KEYS[#names + 5], run_id)
return rows
