-- Returns slots and takes new ones, in one call.
-- KEYS: slots of the provider (sorted set: lease -> end), slots of the run (the same), rates (hash),
-- limits that were changed live (hash), requests and tokens of the last minute (hash: r and t with
-- their tick, their sums, the first tick, the tick of the last refund), lines that wait (hash: line
-- -> head, count, until).
-- Of rates: requests and tokens (next theoretical arrival, µs), blocked_until; of the breaker:
-- failures, open_until, probe; of the concurrency: slots_now, successes, shrunk_at; virtual.
-- ARGV: now in µs (0: the server's clock), lease ms, slots, run slots (0 = no cap), rpm, tpm, burst
-- seconds, failures that open the breaker (0 = never), its open ms, line ("" = past the lines),
-- fresh (1), callers of the line, channel of the bell, how many settle; then for each of those
-- lease, tokens reserved, tokens used, how it ended (ok, down, limited, other), sent (1), tick of
-- its grant; then for each wish lease, tokens, rank, start.
-- Wishes are granted in their order until one cannot be: each is all or nothing, none overtakes.
-- Returns {how many were granted, wait ms, reason, tick, virtual, shift of a fresh line} (wait and
-- reason are of the first that was refused).
local slots_key, run_key, rates_key, window_key, lines_key = KEYS[1], KEYS[2], KEYS[3], KEYS[5], KEYS[6]
local lease_ms, slots, run_slots = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local rpm, tpm, burst_s = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local most_failures, open_ms = tonumber(ARGV[8]), tonumber(ARGV[9])
local line, fresh, callers = ARGV[10], ARGV[11] == '1', tonumber(ARGV[12])
local live = redis.call('HMGET', KEYS[4], 'slots', 'rpm', 'tpm')
slots, rpm, tpm = tonumber(live[1] or slots), tonumber(live[2] or rpm), tonumber(live[3] or tpm)
local us = tonumber(ARGV[1])
if us == 0 then
  local time = redis.call('TIME')
  us = time[1] * 1000000 + time[2]
end
local TICK_US = 250000  -- the last minute is counted in quarters of a second
local TICKS = 241       -- a minute and the quarter that is under way
local ms, tick = math.floor(us / 1000), math.floor(us / TICK_US)
local TOLERANCE = 4     -- grants by which one line may be ahead of another
local RANK = 2 ^ 40     -- no start ever reaches the next rank
local LINE_MS = 1000    -- a line that did not ask for so long is dead

local function burst_of(per_minute) return math.min(per_minute * burst_s / 60, per_minute / 2) end
local function per_unit(per_minute) return 60000000 / (per_minute - burst_of(per_minute)) end
-- How long `amount` is paid off: up, in quarters of a µs, which a time in µs since 1970 still holds.
local function cost(per_minute, amount) return math.ceil(amount * per_unit(per_minute) * 4) / 4 end

local rates = redis.call('HMGET', rates_key, 'requests', 'tokens', 'blocked_until', 'failures',
  'open_until', 'probe', 'slots_now', 'successes', 'shrunk_at', 'virtual')
local failures, open_until = tonumber(rates[4] or '0') or 0, tonumber(rates[5] or '0') or 0
local probe = rates[6] or ''
local slots_now = tonumber(rates[7] or '0') or 0  -- 0: nothing was taken away
if slots_now == 0 or slots_now > slots then slots_now = slots end
local successes, shrunk_at = tonumber(rates[8] or '0') or 0, tonumber(rates[9] or '0') or 0
local virtual = tonumber(rates[10] or '0') or 0
local noted, moved = false, false

-- Requests and tokens of the last minute; what is older leaves the sums.
local counted = rpm > 0 or tpm > 0
local sums, first, refunded, added = { r = 0, t = 0 }, tick, -TICKS, {}
if counted then
  local kept = redis.call('HMGET', window_key, 'r', 't', 'first', 'refunded')
  sums.r, sums.t = tonumber(kept[1] or '0'), tonumber(kept[2] or '0')
  first, refunded = tonumber(kept[3] or tick), tonumber(kept[4] or refunded)
  if tick - first >= 2 * TICKS then
    redis.call('DEL', window_key)
    sums, first, moved = { r = 0, t = 0 }, tick, true
  end
  while first <= tick - TICKS do
    local old = redis.call('HMGET', window_key, 'r' .. first, 't' .. first)
    if old[1] or old[2] then
      sums.r, sums.t = sums.r - tonumber(old[1] or '0'), sums.t - tonumber(old[2] or '0')
      redis.call('HDEL', window_key, 'r' .. first, 't' .. first)
    end
    first, moved = first + 1, true
  end
end

local function count(kind, at, amount)
  sums[kind], added[kind .. at], moved = sums[kind] + amount, (added[kind .. at] or 0) + amount, true
end

local function note(lease, ending)
  local is_probe = lease == probe
  if is_probe then probe, noted = '', true end
  if ending == 'ok' then
    if is_probe then open_until, failures = 0, 0 end
    if open_until == 0 and failures > 0 then failures, noted = 0, true end
    if slots_now < slots then
      successes, noted = successes + 1, true
      if successes >= 25 then slots_now, successes = slots_now + 1, 0 end
    end
  elseif ending == 'down' and most_failures > 0 then
    failures, noted = failures + 1, true
    if is_probe or (open_until == 0 and failures >= most_failures) then open_until = ms + open_ms end
  elseif ending == 'limited' and ms - shrunk_at > 1000 then  -- one burst of 429s shrinks once
    slots_now, successes, shrunk_at = math.max(1, math.floor(slots_now * 0.75)), 0, ms
    noted = true
  end
end

-- Slots come back; what was reserved is corrected by what was really used, and a call that never
-- left gives its place among the requests back too. A refund makes room in the pace that an earlier
-- pause may have made already: then the minute itself is counted (window_wait).
local unsent, change, freed, at = 0, 0, 0, 15
for _ = 1, tonumber(ARGV[14]) do
  local held = redis.call('ZREM', slots_key, ARGV[at])
  redis.call('ZREM', run_key, ARGV[at])
  if held == 1 then
    local granted_at = tonumber(ARGV[at + 5])
    local difference = tonumber(ARGV[at + 2]) - tonumber(ARGV[at + 1])
    freed, change = freed + 1, change + difference
    if rpm > 0 and ARGV[at + 4] == '0' and granted_at >= first then
      count('r', granted_at, -1)
      unsent, refunded = unsent + 1, tick
    end
    if tpm > 0 and granted_at >= first then
      count('t', granted_at, difference)
    elseif tpm > 0 and difference > 0 then
      count('t', tick, difference)
    end
    note(ARGV[at], ARGV[at + 3])
  end
  at = at + 6
end
local MINUTE_US = 60000000
local function no_debt_past_a_minute(tat) return math.max(us, math.min(tat, us + MINUTE_US)) end
local request_tat = math.max((tonumber(rates[1] or '0') or 0), us)
local token_tat = math.max(tonumber(rates[2] or '0') or 0, us)
local blocked = tonumber(rates[3] or '0') or 0
if rpm > 0 then request_tat = math.max(us, request_tat - cost(rpm, unsent)) end
if tpm > 0 then token_tat = no_debt_past_a_minute(token_tat + cost(tpm, change)) end

-- GCRA: how long until `amount` may be taken.
local function pace_wait(tat, per_minute, amount)
  -- One call larger than the burst goes alone, from an empty bucket, and pays afterwards.
  local room = math.max(0, (burst_of(per_minute) - amount) * per_unit(per_minute))
  return math.max(0, tat - us - room)
end

-- How long until the last minute has room for `amount`; one larger than the limit goes alone.
local function window_wait(kind, per_minute, amount)
  local over = sums[kind] - math.max(0, per_minute - amount)
  local oldest = first
  while over > 0 and oldest <= tick do
    over = over - tonumber(redis.call('HGET', window_key, kind .. oldest) or '0')
    over = over - (added[kind .. oldest] or 0)
    oldest = oldest + 1
  end
  if oldest == first then return 0 end
  return (oldest - 1 + TICKS) * TICK_US - us
end

-- Other lines that wait: how many callers are due before a wish of this order.
local others = {}
if line ~= '' then
  local all = redis.call('HGETALL', lines_key)
  for i = 1, #all, 2 do
    if all[i] ~= line then
      local head, count, till = string.match(all[i + 1], '^(%S+) (%S+) (%S+)$')
      if tonumber(till) <= ms then
        redis.call('HDEL', lines_key, all[i])
      else
        table.insert(others, { tonumber(head), tonumber(count) })
      end
    end
  end
end
local function due_before(order)
  local due = 0
  for _, other in ipairs(others) do
    if other[1] < order - TOLERANCE then due = due + other[2] end
  end
  return due
end

redis.call('ZREMRANGEBYSCORE', slots_key, '-inf', ms)
local taken, run_taken = redis.call('ZCARD', slots_key), 0
if run_slots > 0 then
  redis.call('ZREMRANGEBYSCORE', run_key, '-inf', ms)
  run_taken = redis.call('ZCARD', run_key)
end
local shift, refused_order = 0, 0
if fresh and at <= #ARGV then shift = virtual - tonumber(ARGV[at + 3]) end
local granted, wait_us, reason = 0, 0, ''
while at <= #ARGV and reason == '' do
  local lease, tokens = ARGV[at], tonumber(ARGV[at + 1])
  local start = tonumber(ARGV[at + 3]) + shift
  local order = tonumber(ARGV[at + 2]) * RANK + start
  if not redis.call('ZSCORE', slots_key, lease) then
    local request_wait, token_wait = 0, 0
    if rpm > 0 then
      request_wait = pace_wait(request_tat, rpm, 1)
      if tick - refunded < TICKS then request_wait = math.max(request_wait, window_wait('r', rpm, 1)) end
    end
    if tpm > 0 and tokens > 0 then
      token_wait = math.max(pace_wait(token_tat, tpm, tokens), window_wait('t', tpm, tokens))
    end
    local due = due_before(order)
    local half_open = open_until > 0 and open_until <= ms
    if open_until > ms then
      wait_us, reason = (open_until - ms) * 1000, 'open'
    elseif half_open and probe ~= '' and redis.call('ZSCORE', slots_key, probe) then
      wait_us, reason = 1000000, 'open'
    elseif blocked > ms then
      wait_us, reason = (blocked - ms) * 1000, 'blocked'
    elseif taken >= slots_now then
      wait_us, reason = 100000, 'slots'
    elseif run_slots > 0 and run_taken >= run_slots then
      wait_us, reason = 100000, 'run slots'
    elseif request_wait > 0 and request_wait >= token_wait then
      wait_us, reason = request_wait, 'requests'
    elseif token_wait > 0 then
      wait_us, reason = token_wait, 'tokens'
    elseif taken + due >= slots_now or (due > 0 and rpm + tpm > 0) then
      wait_us, reason = 20000, 'turn'
    else
      if rpm > 0 then
        request_tat = request_tat + cost(rpm, 1)
        count('r', tick, 1)
      end
      if tpm > 0 and tokens > 0 then
        token_tat = no_debt_past_a_minute(token_tat + cost(tpm, tokens))
        count('t', tick, tokens)
      end
      redis.call('ZADD', slots_key, ms + lease_ms, lease)
      taken = taken + 1
      if half_open then probe, noted = lease, true end
      if run_slots > 0 then
        redis.call('ZADD', run_key, ms + lease_ms, lease)
        run_taken = run_taken + 1
      end
    end
  end
  if reason == '' then
    granted = granted + 1
    virtual = math.max(virtual, start)
    at = at + 4
  else
    refused_order = order
  end
end
if granted > 0 then
  redis.call('PEXPIRE', slots_key, lease_ms * 2)
  if run_slots > 0 then redis.call('PEXPIRE', run_key, lease_ms * 2) end
end

if line ~= '' then
  if reason == 'slots' or reason == 'requests' or reason == 'tokens' or reason == 'turn' then
    local entry = string.format('%.0f %d %.0f', refused_order, callers - granted, ms + LINE_MS)
    redis.call('HSET', lines_key, line, entry)
    redis.call('PEXPIRE', lines_key, 60000)
  else
    redis.call('HDEL', lines_key, line)
  end
  if #others > 0 and taken < slots_now and (freed > 0 or reason == 'turn') then
    redis.call('PUBLISH', ARGV[13], '1')
  end
  if granted > 0 then
    redis.call('HSET', rates_key, 'virtual', string.format('%.0f', virtual))
  end
end
if noted then
  redis.call('HSET', rates_key, 'failures', failures, 'open_until', open_until, 'probe', probe,
    'slots_now', slots_now < slots and slots_now or 0, 'successes', successes, 'shrunk_at', shrunk_at)
end
if moved then
  for field, amount in pairs(added) do
    if amount ~= 0 then redis.call('HINCRBY', window_key, field, amount) end
  end
  redis.call('HSET', window_key, 'r', sums.r, 't', sums.t, 'first', first, 'refunded', refunded)
  redis.call('PEXPIRE', window_key, math.floor(TICKS * TICK_US / 500))
  if rpm > 0 then redis.call('HSET', rates_key, 'requests', string.format('%.2f', request_tat)) end
  if tpm > 0 then redis.call('HSET', rates_key, 'tokens', string.format('%.2f', token_tat)) end
end
if granted > 0 or noted or moved then  -- ten minutes after the last word, block or open breaker
  redis.call('PEXPIRE', rates_key, 600000 + math.ceil(math.max(0, blocked - ms, open_until - ms)))
end
return {granted, math.ceil(wait_us / 1000), reason, tick, virtual, shift}
