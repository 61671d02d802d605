vim9script
# Ghost text: asks, shows, and keeps showing what is left while it is typed. What is offered is the server's business.

import autoload './server.vim'

const AUTOMATIC = 2
const INVOKED = 1

# What is shown: {items, index, is_by_hand, row, col, end_col} and what it stands between; columns in bytes from 0.
# The text of items[index] takes the place of the bytes from `col` to `end_col` of `row`.
var shown: dict<any> = {}
var asked: dict<any> = {}
var asked_place: list<number> = [] # Where from, while it is under way.
var timer = 0

prop_type_add('CodegenGhost', {highlight: 'CodegenGhost', override: true})

# A key was typed, or the cursor moved.
export def Moved()
  if asked_place == Place()
    return # By hand, before Vim told of the last key.
  endif
  Stop()
  if pumvisible()
    Hide()
    return
  endif
  Follow()
  if !empty(server.Here())
    timer = timer_start(get(g:, 'codegen_delay', 75), (_) => Ask(AUTOMATIC, 0))
  endif
enddef

# Hide what is shown, and ask for nothing.
export def Forget()
  Stop()
  Hide()
enddef

# Text was changed in normal mode: undoing may have brought drawn text back.
export def Clear()
  if exists('b:codegen_root')
    prop_remove({type: 'CodegenGhost', all: true})
  endif
enddef

# The keys that do `name`, for a mapping with <expr>; "" when that needs a suggestion, and there is none.
export def Press(name: string): string
  if name == 'request' && !empty(server.Here())
    return "\<Cmd>call codegen#ghost#Request()\<CR>"
  elseif empty(shown)
    return ''
  elseif index(['accept', 'word', 'line'], name) >= 0
    return $"\<C-g>u\<Cmd>call codegen#ghost#Accept('{name}')\<CR>\<C-g>u"
  endif
  return $"\<Cmd>call codegen#ghost#{name[0]->toupper() .. name[1 :]}()\<CR>"
enddef

# What is left of the suggestion that is shown; "" when there is none.
export def Text(): string
  if empty(shown)
    return ''
  endif
  const num_typed = NumTyped()
  return num_typed < 0 ? trim(Item().text) : strpart(Item().text, num_typed)
enddef

export def Request()
  Ask(INVOKED, 0)
enddef

export def Dismiss()
  Forget()
enddef

export def Next()
  Cycle(1)
enddef

export def Previous()
  Cycle(-1)
enddef

# Write all of the suggestion, its next word, or its next line.
export def Accept(part: string)
  const [item, num_typed] = [Item(), NumTyped()]
  const has_typed = num_typed >= 0
  const rest = strpart(item.text, max([num_typed, 0]))
  const text = has_typed ? Part(rest, part) : rest
  const is_all = text == rest
  const cursor = col('.') - 1
  const [start, end] = [has_typed ? cursor : shown.col, is_all ? max([shown.end_col, cursor]) : cursor]
  const line = getline('.')
  const num_over = max([shown.end_col - end, 0])
  const lines = split(strpart(line, 0, start) .. text, "\n", true)
  setline('.', lines[0])
  append('.', lines[1 :])
  const row = line('.') + len(lines) - 1
  setline(row, lines[-1] .. strpart(line, end))
  cursor(row, len(lines[-1]) + 1)
  if is_all
    Forget()
    Run(item)
  else
    const after = {row: row, col: col('.') - 1, end_col: col('.') - 1 + num_over}
    Show(extendnew(after, {items: [extendnew(item, {text: strpart(rest, len(text))})], index: 0, is_by_hand: true}))
  endif
enddef

# White space, line ends too, and then a word or a run of other signs; or what there is up to the line's end.
def Part(text: string, part: string): string
  const pattern = {word: '^\_s*\%(\k\+\|\%(\k\@!\S\)\+\)', line: '^\n*[^\n]\+'}
  return matchstr(text, get(pattern, part, '.*\_.*')) ?? text
enddef

def Run(item: dict<any>)
  if !empty(item.command)
    const params = {command: item.command.command, arguments: get(item.command, 'arguments', [])}
    server.Ask('workspace/executeCommand', params, (_, _) => null)
  endif
enddef

def Item(): dict<any>
  return shown.items[shown.index]
enddef

# How many bytes of the suggestion stand before the cursor; -1 when something else does.
def NumTyped(): number
  const num = col('.') - 1 - shown.col
  if line('.') != shown.row || num < 0
    return -1
  endif
  return stridx(Item().text, strpart(getline('.'), shown.col, num)) == 0 ? num : -1
enddef

def Hide()
  if !empty(shown) && bufexists(shown.buffer)
    prop_remove({type: 'CodegenGhost', bufnr: shown.buffer, all: true})
  endif
  shown = {}
enddef

# Show a suggestion, if anything is left of it.
def Show(suggestion: dict<any>)
  Hide()
  shown = suggestion
  const text = Text()
  if empty(text)
    shown = {}
    return
  endif
  const line = getline('.')
  shown.buffer = bufnr()
  shown.before = strpart(line, 0, shown.col)
  shown.after = strpart(line, col('.') - 1)
  shown.num_behind = len(line) - shown.end_col
  shown.num_lines = line('$')
  Draw(text, strpart(line, col('.') - 1, shown.end_col - col('.') + 1))
enddef

# Vim draws text between others alone: what is replaced, and stays the same, is left out.
def Draw(text: string, replaced: string)
  const has_end = !empty(replaced) && strpart(text, len(text) - len(replaced)) == replaced && stridx(text, "\n") < 0
  const drawn = has_end ? strpart(text, 0, len(text) - len(replaced)) : text
  const lines = split(substitute(drawn, "\t", repeat(' ', &tabstop), 'g'), "\n", true)
  if !empty(lines[0])
    prop_add(line('.'), col('.'), {type: 'CodegenGhost', text: lines[0]})
  endif
  for line in lines[1 :]
    prop_add(line('.'), 0, {type: 'CodegenGhost', text_align: 'below', text: line ?? ' '})
  endfor
enddef

# What is left of the suggestion, when the last key was its next.
def Follow()
  if empty(shown)
    return
  endif
  var last = shown
  const line = getline('.')
  const cursor = col('.') - 1
  const is_same = bufnr() == last.buffer && line('.') == last.row && line('$') == last.num_lines
    && strpart(line, 0, last.col) == last.before && strpart(line, cursor) == last.after
  if is_same && NumTyped() >= 0
    last.end_col = len(line) - last.num_behind
    Show(last)
  else
    Hide()
  endif
enddef

def Cycle(num: number)
  if !shown.is_by_hand
    Ask(INVOKED, num)
  else
    Show(extend(shown, {index: (shown.index + num + len(shown.items)) % len(shown.items)}))
  endif
enddef

# Where an answer has to find us.
def Place(): list<number>
  return [bufnr(), b:changedtick, line('.'), col('.')]
enddef

def IsWanted(): bool
  return mode() =~ '^i' && !pumvisible()
enddef

def Ask(kind: number, turn: number)
  Stop()
  if !IsWanted() || empty(server.Here())
    return
  endif
  const place = Place()
  const params = extend(server.Place(), {context: {triggerKind: kind}})
  asked_place = place
  asked = server.Ask('textDocument/inlineCompletion', params, (result, problem) => {
    if asked_place == place
      [asked, asked_place] = [{}, []]
    endif
    if place == Place() && IsWanted()
      Answer(result, kind == INVOKED, turn, problem)
    endif
  })
enddef

def Answer(result: any, is_by_hand: bool, turn: number, problem: string)
  Hide()
  var items: list<any> = copy(type(result) == v:t_dict ? result.items : result ?? [])
  filter(items, (_, item) => IsHere(item))
  if !empty(items)
    const range = items[0].range
    Show({
      items: items->mapnew((_, item) => ({text: Plain(item.insertText), command: get(item, 'command', {})})),
      index: (turn + len(items)) % len(items), is_by_hand: is_by_hand,
      row: line('.'), col: range.start.character, end_col: range.end.character,
    })
  endif
  redraw
  if empty(items) && is_by_hand
    popup_atcursor(problem ?? 'no suggestion here', {time: 2000, highlight: 'CodegenGhost'}) # The mode hides messages.
  endif
enddef

def IsHere(item: dict<any>): bool
  return item.range.start.line == line('.') - 1 && item.range.end.line == line('.') - 1
enddef

def Plain(text: any): string
  return substitute(type(text) == v:t_dict ? text.value : text, "\r\n\\?", "\n", 'g')
enddef

def Stop()
  timer_stop(timer)
  server.Cancel(asked)
  [asked, asked_place] = [{}, []]
enddef
