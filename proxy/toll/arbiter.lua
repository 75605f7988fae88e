-- What the arbiter is asked, and what it answers; the amounts it does that with, and what the words mean, stand in amounts.lua before this.

-- ARGV[4]: a line for each claim: cell, amount, limit or `-`, kept until, and for rolling windows the name before the bucket, the
-- first and last bucket that count, and the name after it. Takes all or nothing; ARGV[5] `look`: nothing.
local function take(opens)
    if now_us < opens then
        return answer('closed', string.format('%.0f', opens))
    end
    local claims, fits = {}, true
    for cell, amount, limit, kept, rolling in string.gmatch(ARGV[4], '(%S+) (%S+) (%S+) (%S+)([^\n]*)\n') do
        local spent, reserved = read_total(cell, rolling)
        if limit ~= '-' and amount ~= '0' and tonumber(spent) + tonumber(reserved) + tonumber(amount) > tonumber(limit) then
            fits = false
        end
        claims[#claims + 1] = { cell, amount, kept, rolling, spent, reserved }
    end
    local standing = {}
    for index, claim in ipairs(claims) do
        local spent, reserved, used = claim[5], claim[6], ''
        if claim[4] ~= '' and not fits then
            spent, reserved, used = add_up(claim[4])
            used = ',' .. used
        end
        standing[index] = '[' .. spent .. ',' .. reserved .. used .. ']'
    end
    if fits and ARGV[5] ~= 'look' then
        for _, claim in ipairs(claims) do
            if claim[2] ~= '0' then
                add(own, plane, claim[1], '0', claim[2], claim[3])
            end
        end
        write_seq()
    end
    return answer(fits and 'ok' or 'short', '[' .. table.concat(standing, ',') .. ']')
end

-- ARGV[4]: a line for each cell: cell, what is added to spent and to reserved, kept until.
local function move()
    for cell, spent, reserved, kept in string.gmatch(ARGV[4], '(%S+) (%S+) (%S+) (%S+)\n') do
        add(own, plane, cell, spent, reserved, kept)
    end
    write_seq()
    return answer('ok')
end

-- A plane begins to speak. ARGV[4]: a name for a new era, ARGV[5]: this Redis's run, ARGV[6]: how long a new epoch is closed, in µs.
local function begin()
    local found = redis.call('HMGET', state, 'era', 'epoch', 'run', 'token:' .. plane)
    local era, epoch, opens = found[1], found[2], string.format('%.0f', now_us + ARGV[6])
    local is_torn = era and found[4] and redis.call('HGET', own, 'era') ~= era and string.find(found[4], era .. '.', 1, true) == 1
    if not era or redis.call('HGET', totals, 'era') ~= era or is_torn then
        redis.call('DEL', state, totals, changes, ends)
        era, epoch = ARGV[4], '1'
        redis.call('HSET', state, 'era', era, 'epoch', epoch, 'run', ARGV[5], 'opens', opens)
        redis.call('HSET', totals, 'era', era)
    elseif found[3] ~= ARGV[5] then
        epoch = tostring(redis.call('HINCRBY', state, 'epoch', 1))
        redis.call('HSET', state, 'run', ARGV[5], 'opens', opens)
    end
    if redis.call('HGET', own, 'era') ~= era then
        redis.call('DEL', own, old)
    elseif redis.call('EXISTS', old) == 1 then -- it broke off while it spoke
        local fields = redis.call('HGETALL', own)
        for index = 1, #fields, 2 do
            if fields[index] ~= 'era' then
                redis.call('HINCRBY', old, fields[index], fields[index + 1])
            end
        end
        redis.call('DEL', own)
    else
        redis.call('RENAME', own, old)
        redis.call('HDEL', old, 'era')
    end
    token = era .. '.' .. epoch .. '.' .. redis.call('HINCRBY', state, 'generation', 1)
    redis.call('HSET', own, 'era', era)
    redis.call('HSET', state, 'token:' .. plane, token)
    return answer('ok', '"' .. token .. '"', redis.call('HGET', state, 'opens'))
end

-- ARGV[4]: whose; ARGV[5]: a line for each cell: cell, spent, reserved, kept until. Its own amounts are the truth; those of another plane
-- count only while that one has not said all in this epoch, and where they are more than what is known.
local function put(era, epoch)
    local who = ARGV[4]
    local hash, is_begun = state .. ':plane:' .. who, false
    if who ~= plane then
        if redis.call('HGET', state, 'spoke:' .. who) == epoch then
            return answer('ok')
        elseif string.find(redis.call('HGET', state, 'token:' .. who) or '', era .. '.' .. epoch .. '.', 1, true) == 1 then
            hash, is_begun = hash .. ':old', true -- it has begun, and broken off or not said all yet: what it says takes this out again
        elseif redis.call('HGET', hash, 'era') ~= era then
            redis.call('DEL', hash, hash .. ':old')
            redis.call('HSET', hash, 'era', era)
        end
    end
    for cell, spent, reserved, kept in string.gmatch(ARGV[5], '(%S+) (%S+) (%S+) (%S+)\n') do
        if who == plane then
            remove(old, cell)
            add(hash, who, cell, spent, reserved, kept)
        else
            local known = redis.call('HMGET', hash, 's:' .. cell, 'r:' .. cell)
            if tonumber(spent) + tonumber(reserved) > tonumber(known[1] or 0) + tonumber(known[2] or 0) then
                remove(hash, cell)
                add(hash, who, cell, spent, reserved, kept, is_begun)
            end
        end
    end
    write_seq()
    return answer('ok')
end

-- What was known of a plane before it began to speak.
local function recall()
    local known = {}
    for _, field in ipairs(redis.call('HKEYS', old)) do
        if string.sub(field, 1, 2) == 's:' or redis.call('HEXISTS', old, 's:' .. string.sub(field, 3)) == 0 then
            local cell = string.sub(field, 3)
            local amounts = redis.call('HMGET', old, 's:' .. cell, 'r:' .. cell)
            known[#known + 1] = '["' .. cell .. '",' .. (amounts[1] or '0') .. ',' .. (amounts[2] or '0') .. ']'
        end
    end
    return answer('ok', '[' .. table.concat(known, ',') .. ']')
end

-- A plane has said all: what it did not speak of, it does not have.
local function join(epoch)
    for _, field in ipairs(redis.call('HKEYS', old)) do
        local cell = string.sub(field, 3)
        remove(old, cell)
        drop_empty_total(cell)
        note_change(plane, cell, '-')
    end
    redis.call('DEL', old)
    redis.call('HSET', state, 'spoke:' .. plane, epoch)
    write_seq()
    return answer('ok')
end

-- Forgets cells of windows that are past, in which nothing is reserved.
local function sweep()
    local now_s = math.floor(now_us / 1000000)
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now_s, 'LIMIT', 0, 100)) do
        local who, cell = string.match(member, '^(%S+) (%S+)$')
        local hash = state .. ':plane:' .. who
        if (redis.call('HGET', hash, 'r:' .. cell) or '0') == '0' then
            remove(hash, cell)
            drop_empty_total(cell)
            redis.call('ZREM', changes, member)
            redis.call('ZREM', ends, member)
        else
            redis.call('ZADD', ends, now_s + 3600, member)
        end
    end
end

-- What the other planes changed since ARGV[4], at most ARGV[5] cells; older of them are not told twice.
local function beat(opens)
    sweep()
    local last, told = ARGV[4], {}
    local found = redis.call('ZRANGEBYSCORE', changes, '(' .. last, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[5])
    for index = 1, #found, 2 do
        local who, cell = string.match(found[index], '^(%S+) (%S+)$')
        last = found[index + 1]
        if who ~= plane then
            local amounts = redis.call('HMGET', state .. ':plane:' .. who, 's:' .. cell, 'r:' .. cell)
            told[#told + 1] = '["' .. who .. '","' .. cell .. '",' .. (amounts[1] or '0') .. ',' .. (amounts[2] or '0') .. ']'
        end
    end
    local rest = #found == 2 * ARGV[5] and 'true' or 'false'
    return answer('ok', string.format('%.0f', opens), last, '[' .. table.concat(told, ',') .. ']', rest)
end

if verb == 'begin' then
    return begin()
end
local found = redis.call('HMGET', state, 'era', 'epoch', 'opens', 'token:' .. plane)
local era, epoch = found[1], found[2]
if not era or redis.call('HGET', totals, 'era') ~= era or redis.call('HGET', own, 'era') ~= era then
    return answer('lost')
elseif string.find(token, era .. '.' .. epoch .. '.', 1, true) ~= 1 then
    return answer('lost')
elseif found[4] ~= token then
    return answer('fenced')
elseif verb == 'take' then
    return take(tonumber(found[3]))
elseif verb == 'move' then
    return move()
elseif verb == 'put' then
    return put(era, epoch)
elseif verb == 'join' then
    return join(epoch)
elseif verb == 'recall' then
    return recall()
end
return beat(tonumber(found[3]))
