-- Writes rows of a run that is being submitted, and says that its submitter is alive.
-- ARGV[4..]: submitter, lease ms, then step, row, state, open needs and dependents ("" = none) in turn.
-- Returns 0, and writes nothing, when the submission is somebody else's by now, or gone.
if submitter() ~= ARGV[4] then return 0 end
submitted_by(ARGV[4], tonumber(ARGV[5]))
for i = 6, #ARGV, 5 do
  local step = ARGV[i]
  redis.call('HSET', R.rows, step, ARGV[i + 1])
  redis.call('HSET', R.state, step, ARGV[i + 2])
  redis.call('HSET', R.needs, step, ARGV[i + 3])
  if ARGV[i + 4] ~= '' then redis.call('HSET', R.after, step, ARGV[i + 4]) end
end
keep_alive()
return 1
