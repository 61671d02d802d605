vim9script
# :Codegen explain, implement, restart, status, toggle.

import autoload './server.vim'

export const NAMES = ['explain', 'implement', 'restart', 'status', 'toggle']

var is_enabled = true

export def Run(name: string)
  if name == 'toggle'
    Toggle()
  elseif empty(server.Here())
    const program = get(g:, 'codegen_command', ['codegen-lsp'])[0]
    Warn(executable(program) ? 'no server is running in this buffer' : $'{program} is not found')
  elseif name == 'explain'
    Execute('codegen.explainLast', (said) => Display('codegen explain', said), [{as: 'text'}])
  elseif name == 'status'
    Execute('codegen.status', (said) => Display('codegen status', said))
  elseif name == 'restart'
    Execute('codegen.restartHost', (said) => Say('the model is ' .. said.state))
  elseif name == 'implement'
    Implement()
  else
    Warn('say one of ' .. join(NAMES, ', '))
  endif
enddef

def Say(text: string)
  echomsg 'codegen: ' .. text
enddef

def Warn(text: string)
  echohl WarningMsg | Say(text) | echohl None
enddef

def Toggle()
  is_enabled = !is_enabled
  const settings = extendnew(get(g:, 'codegen_settings', {}), {enabled: is_enabled})
  server.NotifyAll('workspace/didChangeConfiguration', {settings: {codegen: settings}})
  Say(is_enabled ? 'on' : 'off')
enddef

def Execute(command: string, Use: func, arguments: list<any> = [])
  server.Ask('workspace/executeCommand', {command: command, arguments: arguments}, (said, problem) => {
    if !empty(problem)
      Warn(problem)
    else
      Use(said)
    endif
  })
enddef

# The code action for the comment or docstring at the cursor; the server writes it.
def Implement()
  const place = server.Place()
  const range = {start: place.position, end: place.position}
  const params = {textDocument: place.textDocument, range: range, context: {diagnostics: []}}
  server.Ask('textDocument/codeAction', params, (actions, problem) => {
    if empty(actions)
      Warn(problem ?? 'there is nothing to write here')
    else
      const command = actions[0].command
      Execute(command.command, (_) => null, command.arguments)
    endif
  })
enddef

# A text, or JSON as indented lines, in a window of its own.
def Display(title: string, said: any)
  if empty(said)
    Say('nothing to show yet')
    return
  endif
  execute 'silent! bwipeout!' fnameescape(title)
  execute 'botright new' fnameescape(title)
  setlocal buftype=nofile bufhidden=wipe noswapfile nobuflisted
  if type(said) == v:t_string
    setline(1, split(said, "\n", true))
  else
    setlocal filetype=yaml
    setline(1, Lines(said, ''))
  endif
  nnoremap <buffer> q <Cmd>close<CR>
enddef

def Lines(tree: any, indent: string): list<string>
  var lines: list<string> = []
  const members = type(tree) == v:t_list ? tree->mapnew((_, each) => ['-', each]) : sort(items(tree))
  for [name, value] in members
    const label = indent .. (name == '-' ? '-' : name .. ':')
    if type(value) == v:t_dict || type(value) == v:t_list
      lines += empty(value) ? [] : [label] + Lines(value, indent .. '  ')
    elseif type(value) == v:t_string && value =~ "\n"
      lines += [label .. ' |'] + split(value, "\n", true)->map((_, line) => indent .. '  ' .. line)
    else
      lines += [label .. ' ' .. (type(value) == v:t_string ? value : value == null ? 'none' : string(value))]
    endif
  endfor
  return lines
enddef
