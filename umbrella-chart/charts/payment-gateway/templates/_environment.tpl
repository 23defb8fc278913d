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
# where the channels send their callbacks
GATEWAY_URL: {{ printf "http://%s:8000" (include "platform-service.fullname" .) | quote }}
PUBLIC_URL: {{ printf "http://%s:8000" (include "platform-service.fullname" .) | quote }}
{{- end }}
