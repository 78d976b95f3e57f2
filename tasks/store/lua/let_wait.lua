-- Leaves a wholly written run to whoever opens it later: it waits for something. ARGV[4]: submitter.
-- Returns 1, or 0 when the submission is somebody else's, or gone.
if submitter() ~= ARGV[4] then return 0 end
redis.call('HSET', R.run, 'state', 'waiting')
redis.call('HDEL', R.run, 'submitter')
emit('', 'waiting')
keep_alive()
return 1
