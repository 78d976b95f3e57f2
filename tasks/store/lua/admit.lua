-- Adds up the model calls that open runs still have to make, and reserves a run's place among them
-- in the same moment, so that two who submit at once count each other.
-- KEYS[1]: hash of open runs: id -> "rank calls reserved_at_ms", as told at admission. A run that is
-- written counts with what its own hash says is left. ARGV: prefix of the runs' hashes, for how many
-- ms a run that is not (wholly) written counts, the run to admit ('' = only look), its rank, its
-- calls, and the most calls that may be before it (those of its rank and of lower ranks).
-- Returns {1 when admitted, calls of rank 0, calls of rank 1}: without the run's own.
local prefix, patience_ms, wanted = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local left = {[0] = 0, [1] = 0}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local id = all[i]
  local rank, calls, at = string.match(all[i + 1], '^(%d+) (%d+) (%d+)$')
  rank, calls, at = tonumber(rank), tonumber(calls), tonumber(at)
  local run = redis.call('HMGET', prefix .. id, 'state', 'calls_left', 'rank')
  if run[2] and run[3] then calls, rank = tonumber(run[2]), tonumber(run[3]) end
  local begun = run[1] and run[1] ~= 'submitting'
  if run[1] == 'finished' or calls <= 0 or (not begun and now - at > patience_ms) then
    redis.call('HDEL', KEYS[1], id)
  elseif id ~= wanted then
    left[rank] = left[rank] + calls
  end
end
if wanted == '' then return {0, left[0], left[1]} end
local rank = tonumber(ARGV[4])
if redis.call('HEXISTS', KEYS[1], wanted) == 1 then return {1, left[0], left[1]} end
local before = rank == 0 and left[0] or left[0] + left[1]
if before >= tonumber(ARGV[6]) then return {0, left[0], left[1]} end
redis.call('HSET', KEYS[1], wanted, string.format('%d %d %d', rank, tonumber(ARGV[5]), now))
return {1, left[0], left[1]}
