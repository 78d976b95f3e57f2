-- Closes a chunk (ARGV[4], "" = none); a run with nothing outstanding leaves the set of those that have.
-- KEYS after the quarantine: the run's batch keys, the runs that have calls outstanding.
local calls, chunks, batching = KEYS[#names + 4], KEYS[#names + 7], KEYS[#names + 9]
if ARGV[4] ~= '' then redis.call('HDEL', chunks, ARGV[4]) end
if redis.call('HLEN', calls) == 0 and redis.call('HLEN', chunks) == 0 then
  redis.call('SREM', batching, run_id)
end
