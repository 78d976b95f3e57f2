-- Claims a step: its document if there is one, a lease if nobody works on it, or why not.
-- A step that is done stays done, whatever made_from says: only a retry makes it due again. One that
-- is due again and made from the same as the document it had keeps that: {'kept', doc, what it released}.
-- KEYS after the quarantine: what upkeep left in the message's queue.
-- A claim that is asked again because its answer was lost gets the lease that it has.
-- ARGV[4..]: step, made_from, lease ms, holder and claim, most crashes, queue of the
-- message ("" = none), grace ms.
local step, made_from, lease_ms, owner = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
local most, queue, grace_ms = tonumber(ARGV[8]), ARGV[9], tonumber(ARGV[10])

local state = redis.call('HGET', R.state, step)
if not state then return {'unknown'} end
if queue ~= '' then
  redis.call('ZREM', KEYS[#names + 4], member(step))
  local sent = tonumber(redis.call('HGET', R.sent, step) or '0')
  if sent > tonumber(redis.call('HGET', CONSUMED, queue) or '0') then
    redis.call('HSET', CONSUMED, queue, sent)
  end
end
if state == 'done' then
  local doc = redis.call('HGET', R.docs, step)
  if doc then return {'document', doc} end
elseif settled(state) then
  return {'settled', state}
end
if redis.call('HGET', R.run, 'cancel') == '1' then
  settle(step, 'cancelled', '', grace_ms)
  return {'settled', 'cancelled'}
end
if tonumber(redis.call('HGET', R.needs, step) or '0') > 0 then return {'early'} end
local lease = lease_of(step)
if lease and lease.till > now then
  if lease.owner == owner then return {'granted', lease.fence, redis.call('HGET', R.tries, step)} end
  return {'leased'}
end
if state == 'waiting' and made_from ~= '' then
  local doc = redis.call('HGET', R.docs, aside(step))
  if doc and cjson.decode(doc).made_from == made_from then
    redis.call('HSET', R.docs, step, doc)
    redis.call('HDEL', R.docs, aside(step))
    settle(step, 'done', 'kept', grace_ms)
    keep_alive()
    return {'kept', doc, unpack(released)}
  end
end
if lease and crashed(step, most, grace_ms) then return {'settled', 'quarantined'} end
local attempt = redis.call('HINCRBY', R.tries, step, 1)
if state == 'done' then count_open(step, 1) end
local fence = redis.call('HINCRBY', R.fence, step, 1)
redis.call('HSET', R.state, step, 'running')
redis.call('HSET', R.lease, step, string.format('%d %d %s', fence, now + lease_ms, owner))
redis.call('ZADD', DUE, now + lease_ms, member(step))
if state ~= 'running' then emit(step, 'running') end
keep_alive()
return {'granted', fence, attempt}
