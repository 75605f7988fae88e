-- What several data planes have spent and reserved, in one Redis or Valkey, changed by the arbiter's script alone: this and arbiter.lua.
--
--   {weighbridge}               era, epoch, run, opens, generation, seq; of each plane its token and the epoch in which it has said all
--   {weighbridge}:totals        over all planes: s:<cell> spent, r:<cell> reserved; of rolling windows also S:<account>, R:<account> over
--                               the buckets from f:<account> on
--   {weighbridge}:plane:<name>  the same of one plane; only that plane changes them, and their sum over all planes is the total
--   {weighbridge}:changes       "<plane> <cell>" by the number of its last change, for the planes to tell each other
--   {weighbridge}:ends          "<plane> <cell>" by the second from which it may be forgotten
--
-- Nothing expires by time alone: that would give money back which the provider still bills.
--
-- An era is one life of this data; it ends when data is lost. An epoch is one life of the Redis that holds it: after a restart or a
-- fail-over the data may be older than what was acknowledged. In a new epoch nothing is reserved for a while (until `opens`, by this
-- Redis's clock), in which every plane says anew what it has spent and reserved, and what it last saw of the others. A plane's token
-- holds era, epoch and a generation that is its own; whoever comes with another one is answered `lost` or `fenced`, and nothing happens.
--
-- KEYS: {weighbridge}. ARGV: verb, plane, token, and what each verb says. Answers are JSON: [word, microseconds since 1970, ...].
-- Amounts are passed on as text where they can be: a number of Lua is exact up to 2^53 only.

local state = KEYS[1]
local totals, changes, ends = state .. ':totals', state .. ':changes', state .. ':ends'
local verb, plane, token = ARGV[1], ARGV[2], ARGV[3]
local own = state .. ':plane:' .. plane
local old = own .. ':old'
local clock = redis.call('TIME')
local now_us = clock[1] * 1000000 + clock[2]
local seq

local function answer(word, ...)
    return '["' .. word .. '",' .. string.format('%.0f', now_us) .. table.concat({ '', ... }, ',') .. ']'
end

local function negate(amount)
    if amount == '0' then
        return amount
    end
    return string.sub(amount, 1, 1) == '-' and string.sub(amount, 2) or '-' .. amount
end

local function increase(hash, field, amount)
    if amount ~= '0' then
        redis.call('HINCRBY', hash, field, amount)
    end
end

local function note_change(who, cell, kept)
    seq = (seq or tonumber(redis.call('HGET', state, 'seq') or 0)) + 1
    local member = who .. ' ' .. cell
    if redis.call('ZADD', changes, seq, member) == 1 and kept ~= '-' then
        redis.call('ZADD', ends, kept, member)
    end
end

local function write_seq()
    if seq then
        redis.call('HSET', state, 'seq', string.format('%.0f', seq))
    end
end

-- The account of a rolling window's bucket, and the bucket; nothing for other cells.
local function read_bucket(cell)
    if not string.find(cell, ':', 1, true) then
        return nil
    end
    local head, bucket, tail = string.match(cell, '^([^@]+@%w+):(%-?%d+)(.*)$')
    return head .. tail, tonumber(bucket)
end

local function increase_total(cell, spent, reserved)
    increase(totals, 's:' .. cell, spent)
    increase(totals, 'r:' .. cell, reserved)
    local account, bucket = read_bucket(cell)
    local first = account and redis.call('HGET', totals, 'f:' .. account)
    if first and bucket >= tonumber(first) then
        increase(totals, 'S:' .. account, spent)
        increase(totals, 'R:' .. account, reserved)
    end
end

-- Adds to one cell of one plane, and to its total; `is_quiet`: the others are not told.
local function add(hash, who, cell, spent, reserved, kept, is_quiet)
    increase_total(cell, spent, reserved)
    increase(hash, 's:' .. cell, spent)
    increase(hash, 'r:' .. cell, reserved)
    if not is_quiet then
        note_change(who, cell, kept)
    end
end

-- Takes one cell of one plane out, and out of its total.
local function remove(hash, cell)
    local found = redis.call('HMGET', hash, 's:' .. cell, 'r:' .. cell)
    increase_total(cell, negate(found[1] or '0'), negate(found[2] or '0'))
    redis.call('HDEL', hash, 's:' .. cell, 'r:' .. cell)
end

local function drop_empty_total(cell)
    local found = redis.call('HMGET', totals, 's:' .. cell, 'r:' .. cell)
    if (found[1] or '0') == '0' and (found[2] or '0') == '0' then
        redis.call('HDEL', totals, 's:' .. cell, 'r:' .. cell)
        local account = read_bucket(cell)
        if account then -- its sums are made anew when they are needed
            redis.call('HDEL', totals, 'f:' .. account, 'S:' .. account, 'R:' .. account)
        end
    end
end

-- (spent, reserved, used) over the buckets of a rolling window that count: `used` is JSON, [bucket, spent and reserved] of each.
local function add_up(rolling)
    local head, first, last, tail = string.match(rolling, '^ (%S+) (%S+) (%S+) ?(%S*)$')
    local names = {}
    for bucket = tonumber(first), tonumber(last) do
        local name = head .. ':' .. string.format('%.0f', bucket) .. tail
        names[#names + 1] = 's:' .. name
        names[#names + 1] = 'r:' .. name
    end
    local found = redis.call('HMGET', totals, unpack(names))
    local spent, reserved, used = 0, 0, {}
    for index = 1, #found, 2 do
        local one, other = tonumber(found[index] or 0), tonumber(found[index + 1] or 0)
        spent, reserved = spent + one, reserved + other
        if one + other ~= 0 then
            used[#used + 1] = string.format('[%.0f,%.0f]', tonumber(first) + (index - 1) / 2, one + other)
        end
    end
    local account = head .. tail
    spent, reserved = string.format('%.0f', spent), string.format('%.0f', reserved)
    redis.call('HSET', totals, 'f:' .. account, first, 'S:' .. account, spent, 'R:' .. account, reserved)
    return spent, reserved, '[' .. table.concat(used, ',') .. ']'
end

-- (spent, reserved) of a claim.
local function read_total(cell, rolling)
    local head, first, tail = string.match(rolling, '^ (%S+) (%S+) %S+ ?(%S*)$')
    if not head then
        local found = redis.call('HMGET', totals, 's:' .. cell, 'r:' .. cell)
        return found[1] or '0', found[2] or '0'
    end
    local account = head .. tail
    local found = redis.call('HMGET', totals, 'f:' .. account, 'S:' .. account, 'R:' .. account)
    if found[1] == first then
        return found[2], found[3]
    end
    return add_up(rolling)
end
