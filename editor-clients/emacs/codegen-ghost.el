;;; codegen-ghost.el --- Ghost text from codegen-lsp -*- lexical-binding: t -*-

;;; Commentary:

;; `codegen-ghost-mode' asks the buffer's server for a suggestion when typing pauses, shows it behind point, and
;; accepts it: all of it, its next word, or its next line.  What is offered, and where, is the server's business.

;;; Code:

(require 'cl-lib)
(require 'subr-x)
(require 'codegen-wire)

(defcustom codegen-ghost-delay 0.2
  "How many seconds typing has to pause before the server is asked."
  :type 'number
  :group 'codegen)

(defface codegen-ghost '((t :inherit shadow))
  "Face of a suggestion that is not in the buffer yet."
  :group 'codegen)

(defconst codegen-ghost--invoked 1 "LSP's InlineCompletionTriggerKind: the user asked.")
(defconst codegen-ghost--automatic 2 "LSP's InlineCompletionTriggerKind: typing paused.")

(cl-defstruct (codegen-ghost--item (:copier nil))
  "A suggestion: TEXT takes the place of what stands between two markers.
They are BEG and END; NUM-OUTSIDE characters are not between them.  COMMAND is
for SERVER, once all of it is accepted."
  text beg end num-outside command server)

(defvar-local codegen-ghost--items nil "The suggestions, the one that is shown first; nil when none is shown.")
(defvar-local codegen-ghost--overlay nil "What shows the first of `codegen-ghost--items'.")
(defvar-local codegen-ghost--invoked-p nil "Whether the user asked for `codegen-ghost--items'.")
(defvar-local codegen-ghost--timer nil "Asks for a suggestion when typing pauses.")
(defvar-local codegen-ghost--tick nil "The buffer's tick after the last command.")

(defvar codegen-ghost-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "C-l") #'codegen-ghost-accept)
    (define-key map (kbd "M-f") #'codegen-ghost-accept-word)
    (define-key map (kbd "C-e") #'codegen-ghost-accept-line)
    (define-key map (kbd "C-g") #'codegen-ghost-dismiss)
    (define-key map (kbd "M-n") #'codegen-ghost-next)
    (define-key map (kbd "M-p") #'codegen-ghost-previous)
    map)
  "Keys while a suggestion is shown; at all other times they mean what they meant.")

(defvar codegen-ghost-mode-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "C-c \\") #'codegen-ghost-request)
    map)
  "Keys of `codegen-ghost-mode'.")

(add-to-list 'minor-mode-map-alist (cons 'codegen-ghost--items codegen-ghost-map))

(defconst codegen-ghost--hooks
  '((post-command-hook . codegen-ghost--after-command)
    (completion-in-region-mode-hook . codegen-ghost--forget)
    (window-selection-change-functions . codegen-ghost--forget)
    (change-major-mode-hook . codegen-ghost--forget)
    (before-revert-hook . codegen-ghost--forget)
    (kill-buffer-hook . codegen-ghost--forget))
  "What the mode listens to.")

;;;###autoload
(define-minor-mode codegen-ghost-mode
  "Show what the server suggests as ghost text behind point."
  :lighter " Ghost"
  (setq codegen-ghost--tick (buffer-chars-modified-tick))
  (codegen-ghost--forget)
  (pcase-dolist (`(,hook . ,action) codegen-ghost--hooks)
    (if codegen-ghost-mode (add-hook hook action nil t) (remove-hook hook action t))))

;; Commands

(defun codegen-ghost-accept ()
  "Write all of the suggestion."
  (interactive "*")
  (codegen-ghost--accept #'identity))

(defun codegen-ghost-accept-word ()
  "Write the suggestion's next word."
  (interactive "*")
  (codegen-ghost--accept
   (lambda (text) (codegen-ghost--head "[ \t\n]*\\(?:[[:alnum:]_]+\\|[^[:alnum:]_ \t\n]+\\)" text))))

(defun codegen-ghost-accept-line ()
  "Write the suggestion's next line."
  (interactive "*")
  (codegen-ghost--accept (lambda (text) (codegen-ghost--head "\n*[^\n]+" text))))

(defun codegen-ghost-dismiss ()
  "Hide the suggestion until something is typed."
  (interactive)
  (codegen-ghost--forget))

(defun codegen-ghost-request ()
  "Ask for suggestions now, and wait longer for the model."
  (interactive)
  (codegen-ghost--ask codegen-ghost--invoked))

(defun codegen-ghost-next ()
  "Show another suggestion: the first time the server is asked for some."
  (interactive)
  (codegen-ghost--cycle 1))

(defun codegen-ghost-previous ()
  "Show the suggestion before this one."
  (interactive)
  (codegen-ghost--cycle -1))

;; Asking

(defun codegen-ghost--after-command ()
  "Keep what is left of the suggestion when a command typed its beginning."
  (let ((tick (buffer-chars-modified-tick)))
    (codegen-ghost--show (and (codegen-ghost--wanted-p) codegen-ghost--items) t)
    (unless (eq tick codegen-ghost--tick)
      (setq codegen-ghost--tick tick)
      (codegen-ghost--wait))))

(defun codegen-ghost--wait ()
  "Ask when typing pauses."
  (when (timerp codegen-ghost--timer) (cancel-timer codegen-ghost--timer))
  (setq codegen-ghost--timer
        (run-with-idle-timer codegen-ghost-delay nil #'codegen-ghost--in (current-buffer)
                             (lambda () (codegen-ghost--ask codegen-ghost--automatic)))))

(defun codegen-ghost--in (buffer action)
  "Call ACTION in BUFFER, when there is still one that the user is in."
  (when (and (buffer-live-p buffer) (eq buffer (window-buffer (selected-window))))
    (with-current-buffer buffer (funcall action))))

(defun codegen-ghost--wanted-p ()
  "Whether a suggestion may be shown: never over a menu or a region."
  (and codegen-ghost-mode
       (not (or buffer-read-only completion-in-region-mode (bound-and-true-p company-candidates)
                (region-active-p) executing-kbd-macro))))

(defun codegen-ghost--place ()
  "Where an answer has to find us."
  (list (buffer-chars-modified-tick) (point)))

(defun codegen-ghost--ask (kind &optional turn)
  "Ask for suggestions, KIND telling why.
The first is shown, or the one TURN further."
  (let ((server (codegen-wire-server)) (buffer (current-buffer)) (place (codegen-ghost--place)))
    (when (and server (codegen-ghost--wanted-p))
      (codegen-wire-request
       server "textDocument/inlineCompletion"
       (append (codegen-wire-here server) `(:context (:triggerKind ,kind)))
       (lambda (result)
         (codegen-ghost--in buffer (lambda () (codegen-ghost--answer server kind place result (or turn 0)))))
       (if (eq kind codegen-ghost--invoked) (lambda (problem) (message "codegen: %s" problem)) #'ignore)))))

(defun codegen-ghost--answer (server kind place result turn)
  "Show the RESULT that SERVER gave to a request of KIND in PLACE, TURN further."
  (when (and (equal place (codegen-ghost--place)) (codegen-ghost--wanted-p))
    (let ((items (mapcar (lambda (raw) (codegen-ghost--read server raw)) (codegen-wire-list result))))
      (setq codegen-ghost--invoked-p (eq kind codegen-ghost--invoked))
      (codegen-ghost--show items)
      (codegen-ghost--turn turn)
      (unless (or items (not codegen-ghost--invoked-p)) (message "codegen: no suggestion here")))))

(defun codegen-ghost--read (server raw)
  "The item RAW of SERVER as a suggestion."
  (let* ((text (codegen-wire-get raw 'insertText))
         (start (codegen-wire-get raw 'range 'start))
         (beg (if start (codegen-wire-point server start) (point)))
         (end (if start (codegen-wire-point server (codegen-wire-get raw 'range 'end)) (point))))
    (make-codegen-ghost--item
     :text (replace-regexp-in-string "\r\n?" "\n" (if (stringp text) text (or (codegen-wire-get text 'value) "")))
     :beg (copy-marker beg) :end (copy-marker end t) :num-outside (- (buffer-size) (- end beg))
     :command (codegen-wire-get raw 'command) :server server)))

;; Showing

(defun codegen-ghost--cycle (num)
  "Show the suggestion NUM further; who did not ask for them has got one alone."
  (if codegen-ghost--invoked-p (codegen-ghost--turn num) (codegen-ghost--ask codegen-ghost--invoked num)))

(defun codegen-ghost--typed (item)
  "How many characters of the text of ITEM are typed already, or nil.
Nil, too, when something was changed elsewhere or point has left it."
  (let ((beg (marker-position (codegen-ghost--item-beg item))) (end (codegen-ghost--item-end item)))
    (and (<= beg (point) end)
         (= (codegen-ghost--item-num-outside item) (- (buffer-size) (- end beg)))
         (string-prefix-p (buffer-substring-no-properties beg (point)) (codegen-ghost--item-text item))
         (- (point) beg))))

(defun codegen-ghost--show (items &optional typed-p)
  "Show the first of ITEMS instead of what is shown.
With TYPED-P only when what it replaces before point is the beginning of it."
  (codegen-ghost--hide)
  (let ((rest (and items (codegen-ghost--rest (car items) typed-p))))
    (unless (member rest '(nil ""))
      (setq codegen-ghost--items items)
      (codegen-ghost--draw rest (codegen-ghost--item-end (car items))))))

(defun codegen-ghost--rest (item typed-p)
  "What of the text of ITEM is to be shown; for TYPED-P see `codegen-ghost--show'."
  (let ((text (codegen-ghost--item-text item)) (typed (codegen-ghost--typed item)))
    (cond (typed (substring text typed))
          ((not typed-p) (string-trim text)))))

(defun codegen-ghost--draw (text end)
  "Draw TEXT in place of what stands between point and END."
  (let ((overlay (make-overlay (point) (max (point) end))))
    (setq text (propertize text 'face 'codegen-ghost))
    (put-text-property 0 1 'cursor t text) ; The cursor stays before it.
    (overlay-put overlay (if (< (point) end) 'display 'after-string) text)
    (overlay-put overlay 'window (selected-window))
    (setq codegen-ghost--overlay overlay)))

(defun codegen-ghost--hide ()
  "Hide what is shown."
  (when codegen-ghost--overlay (delete-overlay codegen-ghost--overlay))
  (setq codegen-ghost--overlay nil codegen-ghost--items nil))

(defun codegen-ghost--forget (&rest _)
  "Hide what is shown, and ask for nothing."
  (codegen-ghost--hide)
  (when (timerp codegen-ghost--timer) (cancel-timer codegen-ghost--timer)))

(defun codegen-ghost--turn (num)
  "Show the suggestion NUM further, of those there are."
  (when-let* ((items codegen-ghost--items))
    (let ((index (mod num (length items))))
      (codegen-ghost--show (append (nthcdr index items) (seq-take items index))))))

;; Accepting

(defun codegen-ghost--head (regexp text)
  "The beginning of TEXT that REGEXP matches, or all of it."
  (if (string-match (concat "\\`" regexp) text) (match-string 0 text) text))

(defun codegen-ghost--accept (cut)
  "Write the rest of the suggestion, cut by the function CUT.
All of it is written when what it replaces before point is not its beginning."
  (let* ((item (or (car codegen-ghost--items) (user-error "There is no suggestion")))
         (beg (codegen-ghost--item-beg item)) (end (codegen-ghost--item-end item))
         (typed (codegen-ghost--typed item))
         (rest (substring (codegen-ghost--item-text item) (or typed 0)))
         (part (if typed (funcall cut rest) rest)))
    (undo-boundary)
    (if (not (string= part rest))
        (insert part)
      (codegen-ghost--hide)
      (delete-region (if typed (point) beg) end)
      (insert rest)
      (codegen-ghost--run item))))

(defun codegen-ghost--run (item)
  "Tell the server that ITEM is accepted."
  (when-let* ((command (codegen-ghost--item-command item)))
    (codegen-wire-execute (codegen-ghost--item-server item) (codegen-wire-get command 'command)
                          (codegen-wire-get command 'arguments) #'ignore #'ignore)))

(provide 'codegen-ghost)
;;; codegen-ghost.el ends here
