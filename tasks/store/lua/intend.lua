-- Puts free calls into a chunk before anything of it is sent: all of them, or none.
-- KEYS after the quarantine: the run's batch keys. ARGV[4..]: chunk, its row, then the calls' keys.
local calls, chunks = KEYS[#names + 4], KEYS[#names + 7]
local chunk = ARGV[4]
if redis.call('HGET', R.run, 'cancel') == '1' then return 0 end
local rows = {}
for i = 6, #ARGV do
  local row = redis.call('HGET', calls, ARGV[i])
  local attempt, rest = string.match(row or '', '^(%d+) %- (.*)$')
  if not attempt then return 0 end
  rows[i] = attempt .. ' ' .. chunk .. ' ' .. rest
end
for i = 6, #ARGV do redis.call('HSET', calls, ARGV[i], rows[i]) end
redis.call('HSET', chunks, chunk, ARGV[5])
redis.call('EXPIRE', chunks, retention_s)
return 1
