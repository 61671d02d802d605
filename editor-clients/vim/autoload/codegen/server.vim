vim9script
# The servers, one for each workspace: started, told of its buffers, and asked. Columns are bytes, as 'utf-8' is agreed.

export const LANGUAGES = {
  python: 'python', javascript: 'javascript', javascriptreact: 'javascriptreact', typescript: 'typescript',
  typescriptreact: 'typescriptreact', go: 'go', rust: 'rust', java: 'java', c: 'c', cpp: 'cpp', ruby: 'ruby',
  sh: 'shellscript', bash: 'shellscript',
}
const MARKERS = ['pyproject.toml', 'package.json', 'Cargo.toml', 'go.mod', '.git/']

var servers: dict<dict<any>> = {} # By the workspace's folder.

# Start a server for the current buffer, if there is none, and tell it of the buffer.
export def Attach()
  if !empty(&buftype) || empty(expand('%')) || !has_key(LANGUAGES, &filetype)
    return
  endif
  b:codegen_root = Root(expand('%:p:h'))
  if !has_key(servers, b:codegen_root)
    Start(b:codegen_root)
  endif
  Sync()
enddef

# Tell the server of a buffer that it is gone.
export def Detach(buffer: number)
  for server in values(servers)
    if has_key(server.opened, buffer)
      const uri = remove(server.opened, buffer).uri
      Notify(server, 'textDocument/didClose', {textDocument: {uri: uri}})
    endif
  endfor
enddef

# The server of the current buffer; {} when there is none.
export def Here(): dict<any>
  return get(servers, get(b:, 'codegen_root', ''), {})
enddef

# Ask the server of the current buffer, which is told first what has changed; `Answer` gets the result, or null and what
# was wrong. What comes back is for Cancel().
export def Ask(method: string, params: dict<any>, Answer: func): dict<any>
  final server = Here()
  if empty(server) || !server.is_ready
    Answer(null, 'the server is not ready')
    return {}
  endif
  Sync()
  const Reply = (_, reply) => {
    Answer(get(reply, 'result', null), get(get(reply, 'error', {}), 'message', ''))
  }
  const sent = ch_sendexpr(server.channel, {method: method, params: params}, {callback: Reply})
  return type(sent) == v:t_dict && has_key(sent, 'id') ? {server: server, id: sent.id} : {}
enddef

# Take back what Ask() asked.
export def Cancel(asked: dict<any>)
  if !empty(asked)
    Notify(asked.server, '$/cancelRequest', {id: asked.id})
  endif
enddef

# Send a notification to all servers.
export def NotifyAll(method: string, params: dict<any>)
  for server in values(servers)
    Notify(server, method, params)
  endfor
enddef

# The document and the cursor, as requests have them.
export def Place(): dict<any>
  return {textDocument: {uri: Uri(expand('%:p'))}, position: {line: line('.') - 1, character: col('.') - 1}}
enddef

def Notify(server: dict<any>, method: string, params: dict<any>)
  if server.is_ready
    ch_sendexpr(server.channel, {method: method, params: params})
  endif
enddef

def Root(folder: string): string
  for marker in MARKERS
    const path = fnameescape(folder) .. ';'
    const found = marker =~ '/$' ? finddir(trim(marker, '/'), path) : findfile(marker, path)
    if !empty(found)
      return fnamemodify(found, marker =~ '/$' ? ':p:h:h' : ':p:h')
    endif
  endfor
  return folder
enddef

def Start(root: string)
  final server: dict<any> = {is_ready: false, opened: {}}
  const command = get(g:, 'codegen_command', ['codegen-lsp', 'serve'])
  if !executable(command[0])
    return
  endif
  const job = job_start(command, {
    in_mode: 'lsp', out_mode: 'lsp', err_io: 'null', cwd: root,
    out_cb: (_, message) => Receive(server, message),
    exit_cb: (_, _) => Ended(root),
  })
  server.job = job
  server.channel = job_getchannel(job)
  servers[root] = server
  const params = {
    processId: getpid(), rootUri: Uri(root), clientInfo: {name: 'Vim', version: $'{v:versionlong}'},
    workspaceFolders: [{uri: Uri(root), name: fnamemodify(root, ':t')}],
    initializationOptions: get(g:, 'codegen_settings', {}),
    capabilities: {
      general: {positionEncodings: ['utf-8']},
      workspace: {applyEdit: true, workspaceEdit: {documentChanges: true}},
      textDocument: {inlineCompletion: {}, codeAction: {codeActionLiteralSupport: {codeActionKind: {valueSet: []}}}},
    },
  }
  ch_sendexpr(server.channel, {method: 'initialize', params: params}, {callback: (_, _) => Begin(server)})
enddef

def Begin(server: dict<any>)
  server.is_ready = true
  Notify(server, 'initialized', {})
  Sync()
enddef

def Ended(root: string)
  if has_key(servers, root)
    remove(servers, root)
  endif
  if type(v:exiting) == v:t_none
    echohl WarningMsg
    echomsg 'codegen: the server has ended; it starts again with the next buffer (:edit)'
    echohl None
  endif
enddef

# What the server asks or tells.
def Receive(server: dict<any>, message: dict<any>)
  const method = get(message, 'method', '')
  if method == 'window/showMessage'
    echomsg 'codegen: ' .. message.params.message
  elseif has_key(message, 'id') && !empty(method)
    const result: any = method == 'workspace/applyEdit' ? {applied: Apply(server, message.params.edit)} : null
    ch_sendexpr(server.channel, {id: message.id, result: result})
  endif
enddef

# Tell the server of the current buffer what it does not know of it.
def Sync()
  final server = Here()
  if empty(server) || !server.is_ready || !has_key(LANGUAGES, &filetype)
    return
  endif
  const known = get(server.opened, bufnr(), {})
  var document: dict<any> = {uri: Uri(expand('%:p')), version: b:changedtick}
  const text = join(getline(1, '$'), "\n") .. "\n"
  if empty(known)
    extend(document, {languageId: LANGUAGES[&filetype], text: text})
    Notify(server, 'textDocument/didOpen', {textDocument: document})
  elseif known.tick != b:changedtick
    Notify(server, 'textDocument/didChange', {textDocument: document, contentChanges: [{text: text}]})
  endif
  server.opened[bufnr()] = {uri: document.uri, tick: b:changedtick}
enddef

def Uri(path: string): string
  return 'file://' .. substitute(path, '[^a-zA-Z0-9_.~/-]', (m) => Encoded(m[0]), 'g')
enddef

def Encoded(char: string): string
  return range(strlen(char))->map((_, i) => printf('%%%02X', char2nr(strpart(char, i, 1))))->join('')
enddef

# Apply a workspace edit to the buffers that the server knows; whether all of it is for them, and none has moved on.
def Apply(server: dict<any>, edit: dict<any>): bool
  const buffers = server.opened->keys()->map((_, key) => str2nr(key))
  var found: list<list<any>> = []
  for change in get(edit, 'documentChanges', [])
    const at = buffers->indexof((_, buffer) => server.opened[buffer].uri == change.textDocument.uri)
    if at < 0 || getbufvar(buffers[at], 'changedtick') != server.opened[buffers[at]].tick
      return false
    endif
    add(found, [buffers[at], change.edits])
  endfor
  for [buffer, edits] in found
    for each in reverse(sort(copy(edits), (a, b) => Compare(a.range.start, b.range.start)))
      Replace(buffer, each.range, each.newText)
    endfor
  endfor
  return true
enddef

def Compare(a: dict<any>, b: dict<any>): number
  return a.line == b.line ? a.character - b.character : a.line - b.line
enddef

def Replace(buffer: number, range: dict<any>, text: string)
  const [first, last] = [range.start.line + 1, range.end.line + 1]
  const num_lines = getbufinfo(buffer)[0].linecount
  const head = strpart(getbufline(buffer, first)->get(0, ''), 0, range.start.character)
  const tail = strpart(getbufline(buffer, last)->get(0, ''), range.end.character)
  var lines = split(head .. text .. tail, "\n", true)
  if last > num_lines && lines[-1] == '' # The position behind the last line end is no line of Vim's.
    remove(lines, -1)
  endif
  appendbufline(buffer, min([last, num_lines]), lines)
  if first <= num_lines
    deletebufline(buffer, first, min([last, num_lines]))
  endif
enddef
