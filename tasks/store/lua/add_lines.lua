-- Adds lines to a run's log, unless the run is gone: a late line would bring its log back to life.
-- KEYS: the run, its log. ARGV: most lines (about), retention in seconds, then the lines.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
for i = 3, #ARGV do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'line', ARGV[i])
end
redis.call('EXPIRE', KEYS[2], ARGV[2])
return #ARGV - 2
