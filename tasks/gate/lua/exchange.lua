-- Returns slots and takes new ones, in one call, on Redis time.
-- KEYS: slots of the provider (sorted set: lease -> end), slots of the run (the same),
-- rates (hash: next request and token times, blocked_until; of the breaker: failures, open_until,
-- probe; of the concurrency: slots_now, successes, shrunk_at), limits that were changed live (hash).
-- ARGV: lease ms, slots, run slots (0 = no cap), rpm, tpm, burst seconds, failures that open the
-- breaker (0 = never), its open ms, how many settle; then for each of those lease, tokens reserved,
-- tokens used, how it ended (ok, down, limited, other); then for each wish lease, tokens.
-- Wishes are granted in their order until one cannot be: each is all or nothing, none overtakes.
-- Returns {how many were granted, wait ms, reason} (the wait is for the first that was refused).
-- Rates are GCRA: `tat` is the theoretical arrival time in microseconds; the sustained rate is the
-- limit less the burst.
local slots_key, run_key, rates_key = KEYS[1], KEYS[2], KEYS[3]
local lease_ms, slots, run_slots = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local rpm, tpm, burst_s = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local most_failures, open_ms, settling = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local live = redis.call('HMGET', KEYS[4], 'slots', 'rpm', 'tpm')
slots, rpm, tpm = tonumber(live[1] or slots), tonumber(live[2] or rpm), tonumber(live[3] or tpm)
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local ms = math.floor(us / 1000)

local function burst_of(per_minute) return math.min(per_minute * burst_s / 60, per_minute / 2) end

local rates = redis.call('HMGET', rates_key, 'requests', 'tokens', 'blocked_until', 'failures',
  'open_until', 'probe', 'slots_now', 'successes', 'shrunk_at')
local failures, open_until = tonumber(rates[4] or '0') or 0, tonumber(rates[5] or '0') or 0
local probe = rates[6] or ''
local slots_now = math.min(tonumber(rates[7] or slots) or slots, slots)
local successes, shrunk_at = tonumber(rates[8] or '0') or 0, tonumber(rates[9] or '0') or 0
local noted = false

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

-- Slots come back; what was reserved is corrected by what was really used.
local change, at = 0, 10
for _ = 1, settling do
  local held = redis.call('ZREM', slots_key, ARGV[at])
  redis.call('ZREM', run_key, ARGV[at])
  if held == 1 then
    change = change + tonumber(ARGV[at + 2]) - tonumber(ARGV[at + 1])
    note(ARGV[at], ARGV[at + 3])
  end
  at = at + 4
end
local request_tat = math.max(tonumber(rates[1] or '0') or 0, us)
local token_tat = tonumber(rates[2] or '0') or 0
local blocked = tonumber(rates[3] or '0') or 0
local moved = false
if tpm > 0 then
  if change ~= 0 then
    token_tat = math.max(token_tat, us) + change * 60000000 / (tpm - burst_of(tpm))
    moved = true
  end
  token_tat = math.max(token_tat, us)
end

-- How long until `amount` may be taken, and the theoretical arrival time after taking it.
local function gcra(tat, per_minute, amount)
  local burst = burst_of(per_minute)
  local per_unit = 60000000 / (per_minute - burst)
  local tolerance = burst * per_unit
  -- One call larger than the burst goes alone, from an empty bucket, and pays afterwards.
  local room = math.max(0, tolerance - amount * per_unit)
  if amount * per_unit >= tolerance then room = 0 end
  return math.max(0, tat - us - room), tat + amount * per_unit
end

local granted, wait_us, reason = 0, 0, ''
if at <= #ARGV then
  redis.call('ZREMRANGEBYSCORE', slots_key, '-inf', ms)
  local taken, run_taken = redis.call('ZCARD', slots_key), 0
  if run_slots > 0 then
    redis.call('ZREMRANGEBYSCORE', run_key, '-inf', ms)
    run_taken = redis.call('ZCARD', run_key)
  end
  while at <= #ARGV and reason == '' do
    local lease, tokens = ARGV[at], tonumber(ARGV[at + 1])
    if not redis.call('ZSCORE', slots_key, lease) then
      local request_wait, request_after, token_wait, token_after = 0, 0, 0, 0
      if rpm > 0 then request_wait, request_after = gcra(request_tat, rpm, 1) end
      if tpm > 0 and tokens > 0 then token_wait, token_after = gcra(token_tat, tpm, tokens) end
      local half_open = open_until > 0 and open_until <= ms
      if open_until > ms then
        wait_us, reason = (open_until - ms) * 1000, 'open'
      elseif half_open and probe ~= '' and redis.call('ZSCORE', slots_key, probe) then
        wait_us, reason = 1000000, 'open'
      elseif blocked > ms then
        wait_us, reason = (blocked - ms) * 1000, 'blocked'
      elseif taken >= slots_now then
        wait_us, reason = 50000, 'slots'
      elseif run_slots > 0 and run_taken >= run_slots then
        wait_us, reason = 50000, 'run slots'
      elseif request_wait > 0 and request_wait >= token_wait then
        wait_us, reason = request_wait, 'requests'
      elseif token_wait > 0 then
        wait_us, reason = token_wait, 'tokens'
      else
        if rpm > 0 then request_tat, moved = request_after, true end
        if tpm > 0 and tokens > 0 then token_tat, moved = token_after, true end
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
      at = at + 2
    end
  end
  if granted > 0 then
    redis.call('PEXPIRE', slots_key, lease_ms * 2)
    if run_slots > 0 then redis.call('PEXPIRE', run_key, lease_ms * 2) end
  end
end
if noted then
  redis.call('HSET', rates_key, 'failures', failures, 'open_until', open_until, 'probe', probe,
    'slots_now', slots_now, 'successes', successes, 'shrunk_at', shrunk_at)
  redis.call('PEXPIRE', rates_key, 600000)
end
if moved then
  if rpm > 0 then redis.call('HSET', rates_key, 'requests', string.format('%.0f', request_tat)) end
  if tpm > 0 then redis.call('HSET', rates_key, 'tokens', string.format('%.0f', token_tat)) end
  redis.call('PEXPIRE', rates_key, 600000)
end
return {granted, math.ceil(wait_us / 1000), reason}
