-- What accepting does to the buffer. Rows and byte columns count from 0.
--
-- A suggestion: { buffer, row, col, end_col, text, command, client_id }. `text` takes the place of the bytes from `col`
-- to `end_col` of one row; `command` is run once all of it has been accepted.
local M = {}

local PARTS = {
  -- White space, line ends too, and then a word or a run of other signs.
  word = function(text) return text:match('^%s*[%w_\128-\255]+') or text:match('^%s*[^%w_%s\128-\255]+') or text end,
  line = function(text) return text:match('^\n*[^\n]+') or text end,
  all = function(text) return text end,
}

--- The first part of a text: 'word', 'line' or 'all'.
function M.part(text, kind) return PARTS[kind](text) end

--- The row's bytes between the start of a suggestion and the cursor, when they are the beginning of its text, else nil.
function M.typed(item)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  if row - 1 ~= item.row or col < item.col then return nil end
  local line = vim.api.nvim_buf_get_lines(item.buffer, item.row, item.row + 1, false)[1] or ''
  local typed = line:sub(item.col + 1, col)
  return vim.startswith(item.text, typed) and typed or nil
end

--- Put text at the cursor, over `num_over` bytes behind it, and the cursor after it.
local function put(buffer, text, num_over)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local lines = vim.split(text, '\n', { plain = true })
  vim.api.nvim_buf_set_text(buffer, row - 1, col, row - 1, col + num_over, lines)
  local start = #lines == 1 and col or 0
  vim.api.nvim_win_set_cursor(0, { row + #lines - 1, start + #lines[#lines] })
end

--- Tell the server. Nobody waits for the answer.
local function run(item)
  local client = item.command and vim.lsp.get_client_by_id(item.client_id)
  if not client then return end
  local params = { command = item.command.command, arguments = item.command.arguments }
  if vim.fn.has('nvim-0.11') == 1 then
    client:request('workspace/executeCommand', params, function() end)
  else
    client.request('workspace/executeCommand', params, function() end)
  end
end

--- Write a part of a suggestion; what is left of it, or nil. The beginning of its text may have been typed already.
function M.apply(item, kind)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local typed = M.typed(item)
  if not typed then -- What it replaces before the cursor is something else: all of it, or nothing.
    vim.api.nvim_buf_set_text(item.buffer, item.row, item.col, item.row, item.end_col, { '' })
    vim.api.nvim_win_set_cursor(0, { item.row + 1, item.col })
    put(item.buffer, item.text, 0)
    return run(item)
  end
  local rest = item.text:sub(#typed + 1)
  local part = M.part(rest, kind)
  local is_all = part == rest
  put(item.buffer, part, is_all and math.max(item.end_col - col, 0) or 0)
  if is_all then return run(item) end
  local now_row, now_col = unpack(vim.api.nvim_win_get_cursor(0))
  local num_over = math.max(item.end_col - col, 0)
  return vim.tbl_extend('force', item, {
    row = now_row - 1, col = now_col, end_col = now_col + num_over, text = rest:sub(#part + 1),
  })
end

--- Type keys that call `action` as one step of undo.
function M.as_one_step(action)
  local keys = '<C-g>u<Cmd>lua ' .. action .. '<CR><C-g>u'
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, false, true), 'in', false)
end

return M
