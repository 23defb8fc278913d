{{/* What the gateway's processes need beyond what every service has; `config` of the values wins over it. */}}
{{- define "payment-gateway.environment" -}}
{{- $channels := printf "http://%s-channels:8003" .Release.Name }}
{{- if not .Values.simulators.enabled }}
{{- if not (and .Values.channels.cardUrl .Values.channels.walletUrl) }}
{{- fail "payment-gateway: simulators.enabled is false, so channels.cardUrl and channels.walletUrl must say where the real channels are" }}
{{- end }}
{{- end }}
RISK_URL: {{ printf "http://%s-risk-engine:8001" .Release.Name | quote }}
CARD_CHANNEL_URL: {{ .Values.channels.cardUrl | default (printf "%s/card" $channels) | quote }}
CARD2_CHANNEL_URL: {{ .Values.channels.card2Url | default (.Values.simulators.enabled | ternary (printf "%s/card2" $channels) "") | quote }}
BANK_CHANNEL_URL: {{ .Values.channels.bankUrl | default (.Values.simulators.enabled | ternary (printf "%s/bank" $channels) "") | quote }}
SANDBOX: {{ .Values.simulators.enabled | quote }}
WALLET_CHANNEL_URL: {{ .Values.channels.walletUrl | default (printf "%s/wallet" $channels) | quote }}
{{- if .Values.routing }}
ROUTING_FILE: /etc/platform/live/routing.toml
{{- end }}
# where the channels send their callbacks
GATEWAY_URL: {{ printf "http://%s:8000" (include "platform-service.fullname" .) | quote }}
PUBLIC_URL: {{ printf "http://%s:8000" (include "platform-service.fullname" .) | quote }}
{{- end }}

{{/*
Files that are read again while the processes run: the routing rules, from the same keys as in the file itself (docs/channels.md).
Written out key by key: numbers of the values come as floats, and the gateway takes whole ones only.
*/}}
{{- define "payment-gateway.live-files" -}}
{{- with .Values.routing }}
routing.toml: |
  {{- if hasKey . "epsilon" }}
  epsilon = {{ .epsilon }}
  {{- end }}
  {{- with .retry }}

  [retry]
  {{- if hasKey . "budget" }}
  budget = {{ int .budget }}
  {{- end }}
  {{- if hasKey . "soft_declines" }}
  soft_declines = {{ toJson .soft_declines }}
  {{- end }}
  {{- end }}
  {{- range $name, $terms := .channels }}

  [channels.{{ $name }}]
  methods = {{ toJson $terms.methods }}
  {{- if hasKey $terms "currencies" }}
  currencies = {{ toJson $terms.currencies }}
  {{- end }}
  {{- if hasKey $terms "holds" }}
  holds = {{ $terms.holds }}
  {{- end }}
  {{- with $terms.fee }}
  {{- $parts := list }}
  {{- if hasKey . "basis_points" }}{{ $parts = append $parts (printf "basis_points = %d" (int .basis_points)) }}{{ end }}
  {{- if hasKey . "fixed_minor" }}
  {{- $fixed := list }}
  {{- range $decimals, $minor := .fixed_minor }}{{ $fixed = append $fixed (printf "%s = %d" $decimals (int $minor)) }}{{ end }}
  {{- $parts = append $parts (printf "fixed_minor = { %s }" (join ", " $fixed)) }}
  {{- end }}
  fee = { {{ join ", " $parts }} }
  {{- end }}
  {{- end }}
  {{- range $rule := .rules }}

  [[rules]]
  name = {{ toJson $rule.name }}
  channels = {{ toJson $rule.channels }}
  {{- with $rule.by }}
  by = {{ toJson . }}
  {{- end }}
  {{- with $rule.split }}
  {{- $parts := list }}
  {{- range $channel, $share := . }}{{ $parts = append $parts (printf "%s = %d" $channel (int $share)) }}{{ end }}
  split = { {{ join ", " $parts }} }
  {{- end }}
  {{- with $rule.when }}
  {{- $parts := list }}
  {{- range $key, $value := . }}
  {{- $parts = append $parts (printf "%s = %s" $key (ternary (toJson $value) (printf "%d" (int64 (kindIs "slice" $value | ternary 0 $value))) (kindIs "slice" $value))) }}
  {{- end }}
  when = { {{ join ", " $parts }} }
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}
