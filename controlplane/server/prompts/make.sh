#!/bin/sh
# Makes the WAV files of this folder (no argument), or of tools/parties/prompts (argument: parties).
# Needs espeak-ng and sox. Only for whoever changes a prompt: the results are committed.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Speech is set to −20 dBm0. Full scale of a G.711 sine is +3.17 dBm0, so that is an RMS of 0.0493 of full scale.
level=0.0493

# normalise IN OUT: brings a file to the level. No dither: the same input gives the same bytes.
normalise() {
    rms=$(sox "$1" -n stat 2>&1 | awk '/RMS +amplitude/ { print $3 }')
    sox -D -v "$(awk "BEGIN { print $level / $rms }")" "$1" -b 16 "$2"
}

# say VOICE NAME TEXT: speech, 8 kHz, without the silence around it, and with no pause longer than 120 ms: a prompt must
# not look like dead air (300 ms below −50 dBm0).
say() {
    espeak-ng -v "$1" -s 195 -w "$work/raw.wav" "$3"
    sox -D -v 0.8 "$work/raw.wav" -r 8000 -c 1 -b 16 "$work/cut.wav" \
        highpass 120 silence -l 1 0.01 0.3% -1 0.12 0.3% reverse silence 1 0.01 0.3% reverse pad 0.02 0.02
    normalise "$work/cut.wav" "$2.wav"
}

# note NAME START SECONDS FREQUENCY VOLUME: a soft note that swells and fades.
note() {
    sox -D -n -r 8000 -c 1 -b 24 "$work/note-$1.wav" synth "$3" sine "$4" sine "$(awk "BEGIN { print $4 * 2.003 }")" \
        remix 1v0.6,2v0.1 fade h 0.2 "$3" 0.8 vol "$5" pad "$2" 0
}

# Two rounds of a 6 s figure, of which the second is kept: at its start the last notes of the first round still sound,
# as its own will at its end, so the loop has no seam.
hold() {
    n=0
    for base in 0 6; do
        while read -r start length frequency volume; do
            n=$((n + 1))
            note "$n" "$(awk "BEGIN { print $base + $start }")" "$length" "$frequency" "$volume"
        done <<'NOTES'
0.0 2.4 130.81 0.15
0.0 2.4 261.63 0.11
0.0 2.4 329.63 0.10
0.0 1.2 392.00 0.08
0.5 1.2 523.25 0.07
1.0 1.2 659.26 0.06
1.5 2.4 220.00 0.16
1.5 2.4 261.63 0.11
1.5 2.4 329.63 0.10
1.5 1.2 440.00 0.08
2.0 1.2 523.25 0.07
2.5 1.2 659.26 0.06
3.0 2.4 174.61 0.14
3.0 2.4 261.63 0.11
3.0 2.4 349.23 0.10
3.0 1.2 440.00 0.08
3.5 1.2 523.25 0.07
4.0 1.2 698.46 0.06
4.5 2.4 196.00 0.13
4.5 2.4 246.94 0.11
4.5 2.4 293.66 0.10
4.5 1.2 392.00 0.08
5.0 1.2 493.88 0.07
5.5 1.2 587.33 0.06
NOTES
    done
    sox -D -m "$work"/note-*.wav "$work/sum.wav" gain -1
    sox -D "$work/sum.wav" "$work/loop.wav" trim 6 6
    normalise "$work/loop.wav" hold.wav
}

if [ "${1:-}" = parties ]; then
    cd ../../../tools/parties/prompts
    caller=en-us+m3 ai=en-us+f3 human=en-gb-x-rp+f5
    say $caller caller-1 "Hello. My parcel has not arrived."
    say $caller caller-2 "Four four one seven. May I please talk to a person?"
    say $caller caller-3 "Wonderful. On which day will it come?"
    say $caller caller-4 "Alright, then let us go on together."
    say $ai ai-1 "Good morning, this is the digital assistant. How can I help?"
    say $ai ai-2 "I am sorry about that. Which order number do you have?"
    say $ai ai-back "Welcome back, I am still here. What else may I do?"
    say $human human-hello "Hi, Anna from the delivery team. I have your order here."
    say $human human-2 "It leaves our warehouse tonight, so expect it tomorrow."
else
    voice=en-gb+f2
    say $voice announcement "One moment, I am connecting you with a colleague."
    say $voice briefing "A caller with a missing parcel. Press one to take over."
    say $voice busy "Sorry, all of our staff are on a call. Here is the assistant."
    say $voice no_answer "Unfortunately nobody picked up. You return to the assistant."
    say $voice failed "That transfer did not work. We go back to where you were."
    say $voice goodbye "Nobody is available. Please try later. Goodbye."
    say $voice called_back "You asked us to ring you back. Please hold the line for our team."
    say $voice after_hours "It is outside of our opening hours. You are with the assistant again."
    say $voice voicemail "Please leave a message after the tone."
    # The comma: the number follows, so the voice does not fall.
    say $voice estimate_intro "You will be connected in about,"
    say $voice estimate_soon "It should take less than a minute."
    for number in 1:one 2:two 3:three 5:five 10:ten 15:fifteen 20:twenty 30:thirty; do
        unit=minutes
        [ "$number" = 1:one ] && unit=minute
        say $voice "minutes_${number%:*}" "${number#*:} $unit."
    done
    say $voice place_intro "Your place in the line is,"
    for number in 1:one 2:two 3:three 4:four 5:five 6:six 7:seven 8:eight 9:nine 10:ten; do
        say $voice "place_${number%:*}" "number ${number#*:}."
    done
    # What the callback line says. Who hears "We will call you back," hears a day and two times next.
    say $voice callback_offer "Nobody is free just now. We will call you back,"
    say $voice callback_instead "In that case it will be,"
    say $voice callback_no_later "We have nothing later. It stays,"
    say $voice callback_choices "at the number that you are calling from. To agree press one, or simply hang up. For another time press two. If you want no call, press three."
    say $voice callback_agreed "Thank you. Until then."
    say $voice callback_declined "You will not get a call. Thank you, and goodbye."
    say $voice callback_today "today,"
    say $voice callback_tomorrow "tomorrow,"
    for day in Monday Tuesday Wednesday Thursday Friday Saturday Sunday; do
        say $voice "callback_$(echo "$day" | tr '[:upper:]' '[:lower:]')" "on $day,"
    done
    say $voice callback_between "between"
    say $voice callback_and "and"
    say $voice callback_oclock "o'clock"
    say $voice callback_oh "oh"
    say $voice callback_night "at night,"
    say $voice callback_morning "in the morning,"
    say $voice callback_afternoon "in the afternoon,"
    say $voice callback_evening "in the evening,"
    # Hours and minutes; espeak-ng knows how they are said.
    for number in $(seq 1 59); do
        say $voice "number_$number" "$number,"
    done
    for day in 1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th 11th 12th 13th 14th 15th 16th 17th 18th 19th 20th \
        21st 22nd 23rd 24th 25th 26th 27th 28th 29th 30th 31st; do
        say $voice "day_${day%??}" "the $day,"
    done
    hold
fi
