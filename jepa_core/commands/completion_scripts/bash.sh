# Completion of jepa for bash. Written by: jepa completion
_jepa() {
  local program=$1 part=$2 line=${COMP_LINE:0:COMP_POINT} before="" path="" ending="" files="" record value
  local tab=$'\t' unit=$'\x1f'
  local -a values=()
  type -P "$program" >/dev/null || program=jepa
  while IFS= read -r record; do
    case $record in
      "${unit}begin") values=() ;;
      "${unit}prefix$tab"*) before=${record#*"$tab"} path=$before ;;
      "${unit}files"*)
        files=yes
        [[ $record == *"$tab"* ]] && { record=${record#*"$tab"} path=${record%"$tab"*} ending=${record##*"$tab"}; } ;;
      "$unit"* | "") ;;
      *) values+=("$before${record%%"$tab"*}") ;;
    esac
  done < <("$program" __complete --line "$line" 2>/dev/null)

  # What the last word says once its quotation is read, and how much of that stands before the part which bash replaces:
  # for bash a word begins anew after = and : and behind a quotation mark that is still open.
  local word="" cut="" quote="" char next escaped="^\\$'([^'\\]|\\\\.)*'"
  local -i at
  for (( at = 0; at <= ${#line}; at++ )); do
    (( at == ${#line} - ${#part} )) && cut=$word
    char=${line:at:1}
    if [[ $char && $char == "$quote" ]]; then
      quote=""
    elif [[ $quote == "'" ]]; then
      word+=$char
    elif [[ $char == \\ ]]; then
      next=${line:(++at):1}
      [[ $quote && $next != [\$\`\"\\] ]] && word+=$char
      word+=$next
    elif [[ ! $quote && ${line:at} =~ $escaped ]]; then  # $'\n', as unprintable letters are written
      eval "next=${BASH_REMATCH[0]}"
      word+=$next
      at+=${#BASH_REMATCH[0]}-1
    elif [[ ! $quote && $char == [\'\"] ]]; then
      quote=$char
    elif [[ ! $quote && $char == [[:space:]] ]]; then
      word=""
    else
      word+=$char
    fi
  done

  # A home or a variable that a path begins with stays as it is typed.
  local typed=${word#"$path"} lead="" folder="" starts='^(~[[:alnum:]_.-]*|\$[[:alpha:]_][[:alnum:]_]*)/'
  if [[ $files && $quote != "'" && $cut == "$path" && $part == "$typed" && $part =~ $starts ]]; then
    lead=${BASH_REMATCH[1]}
    eval "folder=$lead"
  fi
  if [[ $files && ( $path || $typed != -* ) ]]; then
    while IFS= read -r -d "" value; do
      values+=("$value")
    done < <(
      set +f
      shopt -s nullglob
      shopt -u failglob dotglob
      unset GLOBIGNORE
      for value in "$folder${typed#"$lead"}"*; do
        [[ -d $value ]] && value+=/
        value=$path$lead${value#"$folder"}
        [[ ! $word && $value == -* ]] && value=./$value
        [[ $value == *"$ending" || $value == */ ]] && printf '%s\0' "$value"
      done
    )
  fi

  # Every answer is quoted here, once, as the quotation that is open needs it; readline has nothing to add.
  local rest safe answer
  COMPREPLY=()
  for value in ${values[@]+"${values[@]}"}; do
    [[ $value == "$word"* || ! $word ]] || continue
    [[ $value == *[=./] ]] && compopt -o nospace 2>/dev/null
    rest=${value#"$cut"} answer=""
    [[ $lead ]] && rest=${rest#"$lead"} answer=$lead
    if [[ $rest != *[![:alnum:]_./=:,+@%-]* ]]; then
      answer+=$rest
    else
      for (( at = 0; at < ${#rest}; at++ )); do
        char=${rest:at:1}
        printf -v safe %q "$char"
        case $quote$safe in
          ,) safe=$char ;;
          [\'\"]\$\'* | \"\\! | "'\\'") safe=$quote$safe$quote ;;  # what cannot stand within the quotation
          \"\\[\$\`\"\\]) ;;
          [\'\"]*) safe=$char ;;
        esac
        answer+=$safe
      done
    fi
    # Where an answer begins with the mark that is open, readline puts it in place of that one.
    [[ $quote && $answer == "$quote"* ]] && answer=$quote$answer
    COMPREPLY+=("$answer$quote")
  done
}
complete -F _jepa jepa
