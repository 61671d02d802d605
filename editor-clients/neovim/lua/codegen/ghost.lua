-- Our own ghost text, for Neovim before 0.12: asks, shows, and keeps showing what is left while it is typed.
local insert = require('codegen.insert')
local M = {}

local api = vim.api
local space = api.nvim_create_namespace('codegen')
local AUTOMATIC, INVOKED = 2, 1 -- LSP's InlineCompletionTriggerKind, as the server's library has it: see `ask`.

local shown = nil -- the suggestion that is shown
local choices = nil -- { items, index, place }: what there is to choose from, asked for by hand
local asked = nil -- { client, id }: the request under way
local timer = nil

local function is_inserting() return api.nvim_get_mode().mode:sub(1, 1) == 'i' end

local function call(client, name, ...)
  if vim.fn.has('nvim-0.11') == 1 then return client[name](client, ...) end
  return client[name](...)
end

local function line_at(buffer, row) return api.nvim_buf_get_lines(buffer, row, row + 1, false)[1] or '' end

--- A tab in virtual text would be shown as ^I.
local function untabbed(text) return (text:gsub('\t', string.rep(' ', vim.bo.tabstop))) end

--- The virtual text of a suggestion whose `text` begins at the cursor. It is drawn over the rest of the row, which
--- it therefore ends with: 0.7 has no way to push it aside.
local function draw(item, text)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local behind = line_at(item.buffer, row - 1):sub(math.max(item.end_col, col) + 1)
  local lines = {}
  for _, line in ipairs(vim.split(untabbed(text), '\n', { plain = true })) do
    table.insert(lines, { { line, 'CodegenGhost' } })
  end
  if behind ~= '' then table.insert(lines[#lines], { untabbed(behind), 'Normal' }) end
  local first = table.remove(lines, 1)
  api.nvim_buf_set_extmark(item.buffer, space, row - 1, col, {
    virt_text = first,
    virt_text_pos = 'overlay',
    virt_lines = #lines > 0 and lines or nil,
    hl_mode = 'combine',
  })
end

local function hide()
  if shown and api.nvim_buf_is_valid(shown.buffer) then api.nvim_buf_clear_namespace(shown.buffer, space, 0, -1) end
  shown = nil
end

local function show(item)
  hide()
  local typed = insert.typed(item)
  local rest = typed and item.text:sub(#typed + 1) or vim.trim(item.text)
  if rest == '' then return end
  shown = item
  draw(item, rest)
end

--- After a key: what is left of the suggestion, when the key was its next.
local function follow()
  local item = shown
  if not item then return end
  hide()
  local _, col = unpack(api.nvim_win_get_cursor(0))
  local line = line_at(item.buffer, item.row)
  local is_same = line:sub(1, item.col) == item.before and line:sub(col + 1) == item.after
  if is_same and item.num_lines == api.nvim_buf_line_count(item.buffer) and insert.typed(item) then
    item.end_col = #line - #item.behind
    show(item)
  end
end

--- Remember what stands around a suggestion, so that `follow` can tell typing it from everything else.
local function keep(item)
  local col = api.nvim_win_get_cursor(0)[2]
  local line = line_at(item.buffer, item.row)
  item.before, item.after, item.behind = line:sub(1, item.col), line:sub(col + 1), line:sub(item.end_col + 1)
  item.num_lines = api.nvim_buf_line_count(item.buffer)
  return item
end

local function byte_of(line, column, encoding)
  if encoding == 'utf-8' then return column end
  local is_new = vim.fn.has('nvim-0.11') == 1
  local is_ok, byte
  if is_new then
    is_ok, byte = pcall(vim.str_byteindex, line, encoding, column, false)
  else
    is_ok, byte = pcall(vim.str_byteindex, line, column, encoding == 'utf-16')
  end
  return is_ok and byte or #line
end

--- The server's item as a suggestion; nil for one that has no single row at the cursor.
local function read(raw, client, buffer)
  local row = api.nvim_win_get_cursor(0)[1] - 1
  local text = type(raw.insertText) == 'table' and raw.insertText.value or raw.insertText
  local range = raw.range
  if not range or range.start.line ~= row or range['end'].line ~= row then return nil end
  local line = line_at(buffer, row)
  return {
    buffer = buffer,
    row = row,
    col = byte_of(line, range.start.character, client.offset_encoding),
    end_col = byte_of(line, range['end'].character, client.offset_encoding),
    text = text:gsub('\r\n?', '\n'),
    command = raw.command,
    client_id = client.id,
  }
end

--- Where an answer has to find us.
local function place()
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local buffer = api.nvim_get_current_buf()
  return table.concat({ buffer, api.nvim_buf_get_changedtick(buffer), row, col }, ':')
end

local function is_wanted() return is_inserting() and vim.fn.pumvisible() == 0 end

local function cancel()
  if asked then call(asked.client, 'cancel_request', asked.id) end
  asked = nil
end

--- Show one of several, counted around.
local function choose(items, index)
  index = (index - 1) % #items + 1
  hide()
  show(keep(items[index]))
  choices = { items = items, index = index, place = place() }
end

--- The server's answer: the first one, or where some are known already the one `step` after it.
local function take(answer, client, buffer, step)
  local items = {}
  for _, raw in ipairs(answer and (answer.items or answer) or {}) do
    table.insert(items, read(raw, client, buffer))
  end
  if #items > 0 then choose(items, 1 + step) else hide() end
  if #items < 2 then choices = nil end -- They have to be asked for.
  if step ~= 0 and #items < 2 then vim.notify('codegen: there is no other suggestion here') end
end

local function ask(kind, step)
  local buffer = api.nvim_get_current_buf()
  local client = require('codegen').client(buffer)
  cancel()
  if not client or not is_wanted() then return end
  local here, request = place(), { client = client }
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  params.context = { triggerKind = kind }
  local function answer(problem, result)
    if asked ~= request then return end
    asked = nil
    if not problem and here == place() and is_wanted() then take(result, client, buffer, step) end
  end
  asked = request
  local is_sent, id = call(client, 'request', 'textDocument/inlineCompletion', params, answer, buffer)
  request.id = id
  if not is_sent then asked = nil end
end

local function stop_timer()
  if timer and not timer:is_closing() then
    timer:stop()
    timer:close()
  end
  timer = nil
end

--- A key was typed, or the cursor moved.
local function moved()
  cancel()
  stop_timer()
  if vim.fn.pumvisible() == 1 then return hide() end
  follow()
  timer = vim.defer_fn(function() ask(AUTOMATIC, 0) end, require('codegen').options.debounce_ms)
end

local function forget()
  cancel()
  stop_timer()
  hide()
end

--- Offer suggestions in a buffer.
function M.watch(buffer)
  local group = api.nvim_create_augroup('codegen.ghost.' .. buffer, { clear = true })
  api.nvim_create_autocmd({ 'InsertEnter', 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, {
    group = group, buffer = buffer, callback = moved,
  })
  api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, { group = group, buffer = buffer, callback = forget })
end

--- Ask now, and insist.
function M.request()
  vim.schedule(function() ask(INVOKED, 0) end) -- Not in a mapping with `expr`: the text is locked there.
  return true
end

--- Show the next suggestion (the one before it with a step of -1); whether one was shown. They are asked for first.
function M.cycle(step)
  if not shown then return false end
  vim.schedule(function()
    stop_timer() -- What it would bring is the first one again.
    if choices and choices.place == place() then
      choose(choices.items, choices.index + step)
    else
      ask(INVOKED, step)
    end
  end)
  return true
end

--- Accept 'all', the next 'word' or the next 'line'; whether there was anything to accept.
function M.accept(kind)
  if not shown then return false end
  insert.as_one_step(("require('codegen.ghost').apply('%s')"):format(kind))
  return true
end

function M.apply(kind)
  local item = shown
  if not item then return end
  forget()
  local left = insert.apply(item, kind)
  if left then show(keep(left)) end
end

--- Hide the suggestion; whether there was one.
function M.dismiss()
  if not shown then return false end
  vim.schedule(forget)
  return true
end

return M
